package service

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"tlstunnel/internal/config"
)

// The control channel is HTTP with JSON over a unix socket or a named pipe, for
// those who may administer the service. Each config file has a channel of its
// own, so that several instances keep apart.

// maxAnswer bounds what a client of the control channel reads.
const maxAnswer = 64 << 20

// controlRetry is how often it is tried to open the channel.
var controlRetry = 5 * time.Second

// ErrNotRunning means that no service with that config answers on its control
// channel.
var ErrNotRunning = errors.New("the service isn't running")

// ErrRefused means that a reload or refresh was refused: nothing was changed.
var ErrRefused = errors.New("the reload was refused")

// refusal says why, in the words of the service.
type refusal string

func (r refusal) Error() string        { return string(r) }
func (r refusal) Is(target error) bool { return target == ErrRefused }

// controlServer answers on the control channel of a service.
type controlServer struct {
	http   http.Server
	stop   chan struct{} // ends the attempts to open it
	closed chan struct{} // when nothing is accepted any more

	handlers sync.WaitGroup // requests that are being answered
}

// serveControl opens the control channel, again and again if it must: another
// instance may only just be about to stop. The tunnels are more important than it:
// without it they run all the same.
func (s *Service) serveControl() *controlServer {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /status", s.answerStatus)
	mux.HandleFunc("POST /reload", s.answerReload)
	mux.HandleFunc("POST /refresh", s.answerRefresh)
	c := &controlServer{stop: make(chan struct{}), closed: make(chan struct{})}
	c.http = http.Server{ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
	c.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c.handlers.Add(1)
		defer c.handlers.Done()
		mux.ServeHTTP(w, r)
	})
	l, err := listenControl(s.cfg.File)
	if err != nil {
		s.log.Warn("no control channel: status and reload have to do without", "err", err, "retry_every", controlRetry)
	}
	go c.serve(l, s.cfg.File)
	return c
}

// serve answers on l, and opens it first if it is nil.
func (c *controlServer) serve(l net.Listener, configFile string) {
	defer close(c.closed)
	for again := time.NewTicker(controlRetry); l == nil; {
		select {
		case <-again.C:
			l, _ = listenControl(configFile) // the first error was logged
		case <-c.stop:
			return
		}
	}
	_ = c.http.Serve(l) // closes l, also if it is stopped already
}

func (c *controlServer) close() {
	close(c.stop)
	c.http.Close()
	<-c.closed
	c.handlers.Wait()
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
	if err := s.refresh(context.WithoutCancel(r.Context()), "control channel"); err != nil {
		a.Error = err.Error()
	}
	answer(w, http.StatusOK, a)
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

// AskStatus asks the service that runs the config file how it does. The error
// wraps [ErrNotRunning] when nobody answers.
func AskStatus(ctx context.Context, configFile string) (Status, error) {
	var st Status
	err := ask(ctx, configFile, http.MethodGet, "/status", nil, &st)
	return st, err
}

// AskReload asks the service that runs the config file to reload it. The error
// wraps [ErrNotRunning] when nobody answers, and [ErrRefused] when the service
// says why it refuses.
func AskReload(ctx context.Context, configFile string, dryRun bool) (Changes, error) {
	var a reloadAnswer
	if err := ask(ctx, configFile, http.MethodPost, "/reload", reloadRequest{dryRun}, &a); err != nil {
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
	if err := ask(ctx, configFile, http.MethodPost, "/refresh", nil, &a); err != nil {
		return err
	}
	if a.Error != "" {
		return refusal(a.Error)
	}
	return nil
}

func ask(ctx context.Context, configFile, method, path string, request, reply any) error {
	body, err := json.Marshal(request)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, method, "http://tlstunnel"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return dialControl(ctx, configFile)
	}}
	defer transport.CloseIdleConnections()
	resp, err := (&http.Client{Transport: transport}).Do(r)
	var failed *url.Error // whose address means nothing to a user
	if errors.As(err, &failed) {
		err = failed.Err
	}
	if err != nil {
		return explainControl(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the service answered %q: is it another version?", resp.Status)
	}
	return json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(reply)
}

// instance tells the control channels of several configs apart. It is empty for
// the config of the installed service.
func instance(configFile string) string {
	if configFile == config.SystemConfig() {
		return ""
	}
	sum := sha256.Sum256([]byte(configFile))
	return fmt.Sprintf("-%x", sum[:4])
}
