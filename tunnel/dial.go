package tunnel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
)

// dial opens the back to the first target that takes the connection.
func (t *Tunnel) dial(c *conn) *ending {
	var end *ending
	for _, target := range c.settings.Targets {
		c.target = target
		if target.TLS != nil {
			c.session = nil // the one before's
		}
		if end = t.dialTarget(c, target); end == nil || t.setup.Err() != nil {
			break
		}
		c.failed = append(c.failed, target.Address+": "+clip(end.reason))
	}
	return end
}

// dialTarget opens the back to target, in client mode with TLS and full
// verification.
func (t *Tunnel) dialTarget(c *conn, target Target) *ending {
	ctx, cancel := context.WithTimeout(t.setup, c.settings.ConnectTimeout)
	defer cancel()
	dialled, err := c.settings.dialer.DialContext(ctx, "tcp", target.Address)
	if err != nil {
		return t.explainDial(err)
	}
	tcp := dialled.(*net.TCPConn)
	keepAlive(tcp, c.settings.Keepalive)
	back := newSide(tcp, byTarget)
	if target.TLS != nil {
		if err := t.startTLS(t.setup, c, back, tls.Client, target.TLS); err != nil {
			tcp.Close()
			return t.explainBack(target, err)
		}
		if why := t.whyRevoked(c); why != "" {
			back.reset()
			return &ending{dialFailed, slog.LevelWarn, byTunnel, "tlstunnel refused the target's certificate: it " + why, nil}
		}
	}
	c.back = back
	return nil
}
