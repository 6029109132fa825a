package service

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	"tlstunnel/internal/control"
)

// controlRetry is the time between two attempts to open the control channel.
var controlRetry = 5 * time.Second

// ErrRefused means that a reload or refresh was refused: nothing was changed.
var ErrRefused = errors.New("the reload was refused")

// refusal is the service's reason for a refused reload. It matches [ErrRefused].
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrRefused }

// serveControl opens the control channel. If that fails, the tunnels run without it.
func (s *Service) serveControl() *control.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.answerStatus)
	mux.HandleFunc("POST /reload", s.answerReload)
	mux.HandleFunc("POST /refresh", s.answerRefresh)
	return control.Serve(s.cfg.File, mux, controlRetry, func(err error) {
		s.log.Warn("the control channel can't be opened: status and reload don't work until it can", "err", err, "retry_every", controlRetry)
	})
}

func (s *Service) answerStatus(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.Status())
}

// reloadRequest asks for a reload. The answer is a reloadAnswer.
type reloadRequest struct {
	DryRun bool `json:"dry_run"`
}

type reloadAnswer struct {
	Changes Changes `json:"changes"`
	Error   string  `json:"error,omitempty"`
}

func (s *Service) answerReload(w http.ResponseWriter, r *http.Request) {
	var request reloadRequest
	if err := json.NewDecoder(io.LimitReader(r.Body, 4096)).Decode(&request); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var a reloadAnswer
	var err error
	// A client that gives up doesn't stop a reload halfway.
	ctx := context.WithoutCancel(r.Context())
	if request.DryRun {
		a.Changes, err = s.Reload(ctx, true)
	} else {
		a.Changes, err = s.reloadLogged(ctx, "control channel")
	}
	if err != nil {
		a.Error = err.Error()
	}
	answer(w, http.StatusOK, a)
}

// refreshAnswer says how a refresh went.
type refreshAnswer struct {
	Error string `json:"error,omitempty"`
}

func (s *Service) answerRefresh(w http.ResponseWriter, r *http.Request) {
	var a refreshAnswer
	ctx := context.WithoutCancel(r.Context())
	if err := s.refresh(ctx, "control channel"); err != nil {
		a.Error = err.Error()
	}
	// A revocation may not be on the CRL yet: the status says so at once. The command that
	// asked waits for the answer, so the limit is shorter than that of a certificate check.
	limited, cancel := context.WithTimeout(ctx, pkiLockTimeout/2)
	defer cancel()
	s.refreshCRL(limited, time.Now())
	answer(w, http.StatusOK, a)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// AskStatus asks the service that runs the config file for its status. The error
// wraps [control.ErrNotRunning] if no service answers.
func AskStatus(ctx context.Context, configFile string) (Status, error) {
	var st Status
	err := control.Ask(ctx, configFile, http.MethodGet, "/status", nil, &st)
	return st, err
}

// AskReload asks the service that runs the config file to reload it. The error
// wraps [control.ErrNotRunning] if no service answers, and [ErrRefused] if the service
// refuses. Then its text is the service's reason.
func AskReload(ctx context.Context, configFile string, dryRun bool) (Changes, error) {
	var a reloadAnswer
	if err := control.Ask(ctx, configFile, http.MethodPost, "/reload", reloadRequest{dryRun}, &a); err != nil {
		return Changes{}, err
	}
	if a.Error != "" {
		return a.Changes, refusal(a.Error)
	}
	return a.Changes, nil
}

// AskRefresh asks the service that runs the config file to read again the files that its
// config names, CRLs included, but not the config itself. The errors are those of [AskReload].
// If a file is refused, the CRLs are applied nevertheless.
func AskRefresh(ctx context.Context, configFile string) error {
	var a refreshAnswer
	if err := control.Ask(ctx, configFile, http.MethodPost, "/refresh", nil, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return refusal(a.Error)
	}
	return nil
}
