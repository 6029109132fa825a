package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/tunnel"
)

// plan is a config with all its files read, ready to be applied.
type plan struct {
	cfg     *config.Config
	tunnels []prepared
}

// apply makes the running tunnels what p says: all of it or, on an error,
// nothing. A tunnel that keeps its listen address keeps its socket and its
// connections. The caller holds s.mu, or is alone.
func (s *Service) apply(ctx context.Context, p plan) error {
	next, err := s.openListeners(ctx, p)
	if err != nil {
		return err
	}
	for i, r := range next {
		switch {
		case r.tunnel == nil:
			s.start(r)
		case r.digest != p.tunnels[i].digest:
			r.acme.stop()
			r.prepared = p.tunnels[i]
			r.tunnel.Apply(r.settings)
			r.acme.start(s.log)
		default:
			r.acme.tryAgain()
		}
	}
	for _, r := range s.tunnels {
		if !slices.Contains(next, r) {
			s.drain(r)
		}
	}
	s.cfg, s.tunnels = p.cfg, next
	s.passMarks(time.Now()) // the warnings are in the log already
	s.files.follow(filesOf(p.cfg))
	s.crls.follow(crlsOf(p.cfg))
	return nil
}

// openListeners finds the running tunnel for each listen address in p and opens
// the sockets of the new ones. On an error it leaves none of those open.
func (s *Service) openListeners(ctx context.Context, p plan) ([]*running, error) {
	var next, opened []*running
	var problems config.Problems
	for i, t := range p.tunnels {
		r := find(s.tunnels, t.config)
		if r == nil {
			l, err := listen(ctx, t.config)
			if err != nil {
				problems = append(problems, p.cfg.Problem(i, "listen", s.explainTaken(t.config, err)))
				continue
			}
			r = &running{prepared: t, listener: l}
			opened = append(opened, r)
		}
		next = append(next, r)
	}
	if problems != nil {
		for _, r := range opened {
			r.listener.Close()
		}
	}
	return next, problems.Err()
}

// explainTaken says when it is ourselves who have a port already, at another
// address: only a restart can close the one socket before it opens the other.
func (s *Service) explainTaken(t config.Tunnel, err error) string {
	_, port, _ := net.SplitHostPort(t.Listen)
	for _, r := range s.tunnels {
		if _, taken, _ := net.SplitHostPort(r.config.Listen); errors.Is(err, errInUse) && taken == port {
			return fmt.Sprintf("listening on %q: tunnel %q has this port now, at %q; a reload can't move it to another address of the same port, a restart can",
				t.Listen, r.config.Name, r.config.Listen)
		}
	}
	return err.Error()
}

// find returns the tunnel that has the socket that t asks for, or nil.
func find(tunnels []*running, t config.Tunnel) *running {
	for _, r := range tunnels {
		if sameSocket(r.config, t) {
			return r
		}
	}
	return nil
}

// sameSocket reports whether a and b, from two versions of a config, share a
// socket. Port 0 is another port for each tunnel.
func sameSocket(a, b config.Tunnel) bool {
	return a.Listen == b.Listen && (a.Name == b.Name || !strings.HasSuffix(a.Listen, ":0"))
}

func (s *Service) start(r *running) {
	r.tunnel = tunnel.New(r.settings)
	s.log.Info("listening", "tunnel", r.config.Name, "mode", r.config.Mode, "listen", r.listener.Addr().String(), "target", r.config.Target)
	s.serving.Go(func() { s.serve(r.tunnel, r.listener) })
	r.acme.start(s.log)
}

func (s *Service) serve(t *tunnel.Tunnel, l net.Listener) {
	if err := t.Serve(l); err != nil {
		select {
		case s.failed <- fmt.Errorf("the listener at %s ended by itself: %w", l.Addr(), err):
		default: // one is enough to end us
		}
	}
}
