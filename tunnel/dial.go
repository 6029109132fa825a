package tunnel

import (
	"cmp"
	"context"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
	"tlstunnel/internal/tlsio"
	"tlstunnel/tunnel/pool"
)

// dial opens the back to the first target that accepts the connection. Targets that are down
// come last, and are tried again in the background.
func (t *Tunnel) dial(c *conn) *ending {
	end := &ending{dialFailed, diagnose.New("tlstunnel.no_target"), nil}
	for _, target := range pool.Order(t.targets, c.settings.Targets, addressOf) {
		c.target.Store(&target)
		if target.TLS != nil {
			c.session = nil // that of the target before
		}
		if end = t.dialTarget(c, target, ""); end == nil || c.setup.Err() != nil {
			break
		}
		c.failed = append(c.failed, target.Address+": "+clip(end.String()))
	}
	if end == nil {
		t.tryDown(c.settings)
	}
	return end
}

// dialTarget opens the back to target, in client mode with TLS and full verification, and notes
// the result. If only is set, it uses only that address of the target.
func (t *Tunnel) dialTarget(c *conn, target Target, only string) *ending {
	socket, end := t.dialTCP(c, target, only)
	if end == nil {
		end = t.secureBack(c, target, socket)
		c.note(c.settings.addresses[target.Address], socket.RemoteAddr().String(), end)
	}
	if only == "" {
		c.note(t.targets, target.Address, end)
	}
	return end
}

// note records in p the result for one of its places.
func (c *conn) note(p *pool.Pool, name string, end *ending) {
	switch {
	case end == nil:
		p.Works(name)
	case c.setup.Err() == nil && end.Side() != byTunnel: // otherwise we ourselves caused it
		p.Failed(name, end.Code, clip(end.String()))
	}
}

func (t *Tunnel) dialTCP(c *conn, target Target, only string) (*sock.Conn, *ending) {
	s, timeout := c.settings, c.settings.ConnectTimeout
	if only != "" {
		timeout = min(timeout, headStart) // after that, another address would win
	}
	ctx, cancel := context.WithTimeout(c.setup, timeout)
	defer cancel()
	addresses, err := []string{only}, error(nil)
	if only == "" {
		addresses, err = s.resolve(ctx, target)
	}
	if err != nil {
		return nil, cmp.Or(c.stopped(dialFailed), explainDial(err))
	}
	socket, err := c.dialFirst(ctx, target, addresses)
	if err != nil {
		return nil, cmp.Or(c.stopped(dialFailed), explainDial(err))
	}
	socket.KeepAlive(s.Keepalive)
	return socket, nil
}

// secureBack makes socket the back. On failure it closes it.
func (t *Tunnel) secureBack(c *conn, target Target, socket *sock.Conn) *ending {
	back := newSide(socket, byTarget)
	if target.TLS != nil {
		if err := t.doHandshake(c, back, tlsio.Client, target.TLS); err != nil {
			t.hangUp(back)
			return cmp.Or(c.stopped(dialFailed), explainBack(back, err))
		}
		if why := t.whyRevoked(c); why != nil {
			t.hangUp(back)
			return &ending{dialFailed, why.Of(byTarget, "whose", "tlstunnel refused the target's certificate: it"), nil}
		}
	}
	c.back = back
	return nil
}

func addressOf(target Target) string { return target.Address }
