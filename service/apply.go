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
	"tlstunnel/service/compile"
	"tlstunnel/tunnel"
)

// plan is a config whose files have been read as far as they can be, ready to be
// applied.
type plan struct {
	cfg     *config.Config
	tunnels []compile.Prepared
}

// apply changes the running tunnels to what p says. On an error it changes nothing. A tunnel
// that keeps its listen address keeps its socket and its connections. A tunnel that is left
// out is tried again. The caller holds changing, or is alone.
func (s *Service) apply(ctx context.Context, p plan) error {
	next, err := s.openListeners(ctx, p)
	if err != nil {
		return err
	}
	for i, r := range next {
		switch {
		case r.tunnel == nil && r.out == nil:
			s.start(r)
		case r.tunnel == nil:
		case !r.SameAs(&p.tunnels[i]):
			s.change(r, p.tunnels[i])
		default:
			r.ACME.TryAgain()
		}
	}
	for _, r := range s.tunnels {
		if !slices.Contains(next, r) {
			s.drain(r)
		}
	}
	s.publish(p.cfg, next)
	s.noteExpiryMarks(time.Now()) // the warnings are in the log already
	s.files.follow(filesOf(p.cfg))
	s.crls.follow(crlsOf(p.cfg))
	return nil
}

// change applies the settings of t to the new connections of r.
func (s *Service) change(r *running, t compile.Prepared) {
	r.ACME.Stop()
	r.Prepared = t
	r.tunnel.Apply(r.Settings)
	r.ACME.Start(s.log.With("tunnel", r.Config.Name))
}

// publish makes next the tunnels of the service, and logs which of them are newly
// left out, and which no longer.
func (s *Service) publish(cfg *config.Config, next []*running) {
	for _, r := range next {
		s.logLeftOut(r, leftOutNamed(s.tunnels, r.Config.Name))
	}
	s.cfg, s.tunnels = cfg, next
	s.update(func(now *snapshot) {
		now.cfg, now.tunnels = cfg, nil
		for _, r := range next {
			now.tunnels = append(now.tunnels, *r)
		}
	})
}

// openListeners finds the running tunnel for each listen address in p and opens the sockets
// of the other tunnels. A tunnel whose socket can't be opened is left out if mayBeLeftOut
// allows it. Otherwise openListeners closes the new sockets and returns an error.
func (s *Service) openListeners(ctx context.Context, p plan) ([]*running, error) {
	var next, opened []*running
	var problems config.Problems
	for i, t := range p.tunnels {
		r := find(s.tunnels, t.Config)
		if r == nil {
			r = s.attempt(ctx, p.cfg, i, t, time.Now())
			if r.out == nil {
				opened = append(opened, r)
			} else if !s.mayBeLeftOut(t.Config, r.out.Reason) {
				problems = append(problems, r.out.problems...)
			}
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

// explainListenError returns the text of err. If another tunnel of ours has the port at another
// address, it says so: only a restart can close the old socket before it opens the new one.
func (s *Service) explainListenError(t config.Tunnel, err error) string {
	_, port, _ := net.SplitHostPort(t.Listen)
	for _, r := range s.tunnels {
		if _, taken, _ := net.SplitHostPort(r.Config.Listen); errors.Is(err, errInUse) && r.out == nil && taken == port {
			return fmt.Sprintf("listening on %q: tunnel %q has this port now, at %q; a reload can't move it to another address of the same port, a restart can",
				t.Listen, r.Config.Name, r.Config.Listen)
		}
	}
	return err.Error()
}

// find returns the tunnel that has the socket that t asks for, or nil.
func find(tunnels []*running, t config.Tunnel) *running {
	for _, r := range tunnels {
		if r.out == nil && sameSocket(r.Config, t) {
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
	r.tunnel = tunnel.New(r.Settings)
	at := listenText(r.Config.Listen, r.listener.Addr())
	s.log.Info("listening", "tunnel", r.Config.Name, "mode", r.Config.Mode, "listen", at, "target", r.Config.Target)
	if at != r.Config.Listen && !strings.HasSuffix(r.Config.Listen, ":0") {
		s.log.Warn("systemd has opened another address than listen has", "tunnel", r.Config.Name, "listen", r.Config.Listen,
			"socket", at, "hint", "see ListenStream and BindIPv6Only in the .socket unit")
	}
	s.serving.Go(func() { s.serve(r.tunnel, r.listener) })
	r.ACME.Start(s.log.With("tunnel", r.Config.Name))
}

func (s *Service) serve(t *tunnel.Tunnel, l net.Listener) {
	if err := t.Serve(l); err != nil {
		select {
		case s.failed <- fmt.Errorf("the listener at %s ended by itself: %w", l.Addr(), err):
		default: // an earlier error ends the service already
		}
	}
}
