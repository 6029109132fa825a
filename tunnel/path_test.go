package tunnel

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// running is a tunnel that serves on a loopback port until the test ends.
type running struct {
	*Tunnel
	addr string
	logs *logs
}

// complete fills in what the test leaves open.
func complete(s Settings) (Settings, *logs) {
	l := &logs{}
	s.Logger = slog.New(logHandler{logs: l})
	for _, d := range []*time.Duration{&s.HandshakeTimeout, &s.ConnectTimeout, &s.HalfCloseTimeout} {
		if *d == 0 {
			*d = patience
		}
	}
	return s, l
}

func start(t testing.TB, s Settings) *running {
	t.Helper()
	return startOn(t, listen(t), s)
}

func startOn(t testing.TB, l net.Listener, s Settings) *running {
	t.Helper()
	s, logs := complete(s)
	r := &running{New(s), l.Addr().String(), logs}
	r.strange.every, r.refusals.every, r.relayed.every = 0, 0, 0 // all connections of a test come from one address
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		_ = r.Shutdown(stopNow())
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := r.live.count(); n > 0 {
			t.Errorf("the tunnel knows of %d connections that have ended", n)
		}
	})
	return r
}

// path is a way from a peer to a target: through a tunnel in server mode (the
// peer speaks TLS), in client mode (the target does), or one after the other
// (neither does).
type path struct {
	mode    string
	tunnels []*running // in the order in which the peer's bytes meet them
	target  *net.TCPListener
}

var modes = []string{"server", "client", "pair"}

func newPath(t testing.TB, mode string, edit func(*Settings)) *path {
	t.Helper()
	p := &path{mode: mode, target: listen(t)}
	next := p.target.Addr().String()
	add := func(s Settings) {
		if edit != nil {
			edit(&s)
		}
		r := start(t, s)
		p.tunnels = append([]*running{r}, p.tunnels...)
		next = r.addr
	}
	if mode != "client" {
		add(Settings{Name: "server", Front: serverTLS(), Targets: []Target{{Address: next}}})
	}
	if mode != "server" {
		add(Settings{Name: "client", Targets: []Target{{Address: next, TLS: clientTLS()}}})
	}
	return p
}

func (p *path) dial() (*end, error) {
	e, err := dial(p.tunnels[0].addr)
	if err == nil && p.mode == "server" {
		if err = e.secure(tls.Client, clientTLS()); err != nil {
			e.tcp.Close()
		}
	}
	return e, err
}

func (p *path) accept() (*end, error) {
	_ = p.target.SetDeadline(time.Now().Add(patience))
	c, err := p.target.Accept()
	if err != nil {
		return nil, err
	}
	return p.asTarget(c)
}

// asTarget is a connection that a target has accepted, as the target sees it.
func (p *path) asTarget(c net.Conn) (e *end, err error) {
	e = newEnd(c)
	if p.mode == "client" {
		if err = e.secure(tls.Server, serverTLS()); err != nil {
			e.tcp.Close()
		}
	}
	return e, err
}

// open makes a connection and returns both of its ends.
func (p *path) open(t testing.TB) (peer, target *end) {
	t.Helper()
	peer, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.tcp.Close() })
	target, err = p.accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.tcp.Close() })
	return peer, target
}

// echo serves the path's target until the test ends: each connection gets its
// own bytes back.
func (p *path) echo(t testing.TB) {
	_ = p.target.SetDeadline(time.Time{}) // that of accept
	testkit.Serve(t, p.target, func(c net.Conn) {
		if e, err := p.asTarget(c); err == nil {
			_, _ = io.Copy(e, struct{ io.Reader }{e})
			_ = e.CloseWrite()
		}
	})
}
