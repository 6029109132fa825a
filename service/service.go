// Package service is the daemon: it turns a loaded config into running tunnels,
// makes the PKI on the first run, writes the log, and stops everything in order.
//
//	cfg, problems, err := config.Load(file)
//	log, closeLog := service.OpenLog(cfg.Log, os.Stderr, false)
//	defer closeLog()
//	err = service.Run(ctx, cfg, log)
package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/tunnel"
)

// Service is a set of running tunnels.
type Service struct {
	cfg     *config.Config
	log     *slog.Logger
	tunnels []*running
	failed  chan error // of a listener that somebody else closed
	serving sync.WaitGroup
}

// running is a tunnel with its socket.
type running struct {
	name     string
	tunnel   *tunnel.Tunnel
	listener net.Listener
}

// Run starts the tunnels of cfg and serves until ctx is done; then it stops them
// and returns nil. An error means that they couldn't start, or that one ended by
// itself.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger) error {
	s, err := Start(ctx, cfg, log)
	if err != nil {
		return err
	}
	return s.Wait(ctx)
}

// Start makes the PKI if there is none, reads what cfg names, and opens every
// listener before it serves the first connection, so that it starts whole or not
// at all. The caller must call [Service.Wait].
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Service, error) {
	log.Info("starting", "version", Version, "config", cfg.File, "pki", cfg.PKI.Dir)
	settings, err := prepare(ctx, cfg, log)
	if err != nil {
		return nil, err
	}
	s := &Service{cfg: cfg, log: log, failed: make(chan error, len(settings))}
	if err := s.openListeners(ctx, settings); err != nil {
		return nil, err
	}
	for i, r := range s.tunnels {
		t := cfg.Tunnels[i]
		log.Info("listening", "tunnel", t.Name, "mode", t.Mode, "listen", r.listener.Addr().String(), "target", t.Target)
		s.serving.Go(func() { s.serve(r) })
	}
	return s, nil
}

// openListeners opens the sockets of all tunnels, or none.
func (s *Service) openListeners(ctx context.Context, settings []tunnel.Settings) error {
	var problems config.Problems
	for i, t := range settings {
		l, err := listen(ctx, s.cfg.Tunnels[i].Listen)
		if err != nil {
			problems = append(problems, s.cfg.Problem(i, "listen", err.Error()))
			continue
		}
		s.tunnels = append(s.tunnels, &running{t.Name, tunnel.New(t), l})
	}
	if problems != nil {
		for _, r := range s.tunnels {
			r.listener.Close()
		}
	}
	return problems.Err()
}

// MakePKI makes what is missing of the PKI that cfg describes and opens it. It
// returns the files that it made.
func MakePKI(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	return pki.Ensure(ctx, pkiSettings(cfg), time.Now())
}

// prepare makes or opens the PKI and reads every file that cfg names.
func prepare(ctx context.Context, cfg *config.Config, log *slog.Logger) ([]tunnel.Settings, error) {
	store, created, err := MakePKI(ctx, cfg)
	problems := pkiProblems(cfg, err)
	if err == nil && len(created) > 0 {
		log.Warn("made a new CA or server certificate; keep ca.key safe, and give clients ca.crt", "ca", pki.Fingerprint(store.CA), "files", created)
	}
	problems = append(problems, nameProblems(cfg, store)...)
	settings, more := translate(cfg, store, time.Now(), log)
	problems = append(problems, more...)
	for _, p := range problems {
		if p.Warning {
			log.Warn(p.Text, "tunnel", p.Tunnel, "config", fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col))
		}
	}
	return settings, problems.Err()
}

func (s *Service) serve(r *running) {
	if err := r.tunnel.Serve(r.listener); err != nil {
		s.failed <- fmt.Errorf("tunnel %q: its listener at %s ended by itself: %w", r.name, r.listener.Addr(), err)
	}
}

// Addr is where the named tunnel listens, nil if there is no such tunnel.
func (s *Service) Addr(name string) net.Addr {
	for _, r := range s.tunnels {
		if r.name == name {
			return r.listener.Addr()
		}
	}
	return nil
}

// Wait serves until ctx is done or a listener ends by itself. It then gives the
// connections shutdown_grace to end, closes the others, and returns when
// everything has stopped.
func (s *Service) Wait(ctx context.Context) error {
	var err error
	select {
	case <-ctx.Done():
	case err = <-s.failed:
	}
	s.log.Info("stopping", "shutdown_grace", s.cfg.ShutdownGrace)
	grace, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownGrace)
	defer cancel()
	var stopping sync.WaitGroup
	for _, r := range s.tunnels {
		stopping.Go(func() { s.stop(grace, r) })
	}
	stopping.Wait()
	s.serving.Wait()
	s.log.Info("stopped")
	return err
}

func (s *Service) stop(grace context.Context, r *running) {
	if err := r.tunnel.Shutdown(grace); errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("shutdown_grace was over before all connections had ended", "tunnel", r.name)
	}
	n := r.tunnel.Stats()
	s.log.Info("tunnel stopped", "tunnel", r.name,
		"completed", n.Completed, "interrupted", n.Interrupted, "refused", n.Refused,
		"handshake_failed", n.HandshakeFailed, "target_failed", n.TargetFailed,
		"no_close_notify", n.NoCloseNotify, "to_target", n.ToTarget, "to_peer", n.ToPeer)
}
