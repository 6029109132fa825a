package tunnel

import (
	"errors"
	"net"
	"time"

	"tlstunnel/internal/backoff"
	"tlstunnel/internal/sock"
)

// port is one listening socket. It passes each accepted connection to its tunnel. Today each
// port has one tunnel.
type port struct {
	listener net.Listener
	tunnel   *Tunnel
	failures sampler // of failed accepts
}

// Serve accepts connections from l until [Tunnel.Shutdown], and closes l. It may be called for
// several listeners at once. It logs a failed accept and tries again. It returns nil after
// Shutdown, and net.ErrClosed if somebody else closed l.
func (t *Tunnel) Serve(l net.Listener) error {
	defer l.Close()
	p := &port{listener: l, tunnel: t}
	if !t.open(p) {
		return nil
	}
	defer t.running.Done()
	return p.serve()
}

// open makes p a port of the tunnel, unless the tunnel has stopped. The caller then must
// call running.Done.
func (t *Tunnel) open(p *port) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stopped {
		return false
	}
	t.running.Add(1)
	t.ports = append(t.ports, p)
	return true
}

// serve returns when the listener is closed, as Serve does.
func (p *port) serve() error {
	failed := 0 // in a row
	for {
		accepted, err := p.accept()
		switch {
		case err == nil:
			failed = 0
			c := p.tunnel.newConn(accepted)
			go p.tunnel.serveConn(c)
		case p.tunnel.setup.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return err
		default:
			failed++
			p.wait(err, acceptRetry.After(failed))
		}
	}
}

func (p *port) accept() (*sock.Conn, error) {
	accepted, err := p.listener.Accept()
	if err != nil {
		return nil, err
	}
	c, err := sock.New(accepted)
	if err != nil {
		accepted.Close()
	}
	return c, err
}

// acceptRetry is the wait after failed accepts in a row.
var acceptRetry = backoff.Doubling{First: 5 * time.Millisecond, Most: time.Second}

// wait gives the system time to recover after a failed accept, for example because of too many
// open files. To try again at once would use a whole core and fail again.
func (p *port) wait(err error, pause time.Duration) {
	if skipped, ok := p.failures.allow(time.Now()); ok {
		p.tunnel.settings.Load().log.Error("accept failed", "err", err, "retry_in", pause, "skipped", skipped)
	}
	select {
	case <-time.After(pause):
	case <-p.tunnel.setup.Done():
	}
}
