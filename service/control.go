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

// controlRetry is how often it is tried to open the channel.
var controlRetry = 5 * time.Second

// ErrRefused means that a reload or refresh was refused: nothing was changed.
var ErrRefused = errors.New("the reload was refused")

// refusal says why, in the words of the service.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrRefused }

// serveControl opens the control channel. The tunnels are more important than it: without it
// they run all the same.
func (s *Service) serveControl() *control.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.answerStatus)
	mux.HandleFunc("POST /reload", s.answerReload)
	mux.HandleFunc("POST /refresh", s.answerRefresh)
	return control.Serve(s.cfg.File, mux, controlRetry, func(err error) {
		s.log.Warn("no control channel: status and reload have to do without", "err", err, "retry_every", controlRetry)
	})
}

func (s *Service) answerStatus(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, s.Status())
}

// reloadRequest asks for a reload, reloadAnswer says how it went.
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
	// asks has less patience than a look.
	limited, cancel := context.WithTimeout(ctx, lookPatience/2)
	defer cancel()
	s.refreshCRL(limited, time.Now())
	answer(w, http.StatusOK, a)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// AskStatus asks the service that runs the config file how it does. The error
// wraps [control.ErrNotRunning] when nobody answers.
func AskStatus(ctx context.Context, configFile string) (Status, error) {
	var st Status
	err := control.Ask(ctx, configFile, http.MethodGet, "/status", nil, &st)
	return st, err
}

// AskReload asks the service that runs the config file to reload it. The error
// wraps [control.ErrNotRunning] when nobody answers, and [ErrRefused] when the service
// says why it refuses.
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

// AskRefresh asks the service that runs the config file to read anew the files
// that its config names, CRLs included, but not the config itself. The errors are
// as those of [AskReload]; when another file is refused, the CRLs are applied all
// the same.
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
