package tunnel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"tlstunnel/internal/dn"
)

// conn is one connection through a tunnel, from accept to its log line.
type conn struct {
	settings *settings
	peer     netip.AddrPort
	accepted time.Time
	admitted bool
	front    *side
	back     *side // nil until dialled

	target    Target   // the one that was dialled last
	failed    []string // targets that were tried in vain, and why
	session   *tls.ConnectionState
	allowedBy string // the rule, if it took one
	handshake time.Duration

	toBack, toFront atomic.Int64 // bytes relayed
}

func (t *Tunnel) newConn(accepted *net.TCPConn) *conn {
	c := &conn{
		settings: t.settings.Load(),
		accepted: time.Now(),
		front:    newSide(accepted, byPeer),
	}
	keepAlive(accepted, c.settings.Keepalive)
	if addr, ok := accepted.RemoteAddr().(*net.TCPAddr); ok {
		ap := addr.AddrPort()
		c.peer = netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return c
}

// serveConn is the way of a connection. A peer that isn't admitted, fails its
// handshake or isn't authorized never reaches the target. It closes c, now or when
// all is relayed.
func (t *Tunnel) serveConn(c *conn) {
	end := t.admit(c)
	if end == nil {
		end = t.handshakeFront(c)
	}
	if end == nil {
		end = t.authorize(c)
	}
	if end == nil {
		end = t.dial(c)
	}
	if end == nil {
		t.relay(c)
		return
	}
	t.close(c, end)
}

// handshakeFront makes the accepted connection a TLS one in server mode; a
// client certificate, where the settings ask for one, is verified with it.
func (t *Tunnel) handshakeFront(c *conn) *ending {
	if c.settings.Front == nil {
		return nil
	}
	turn := new(handshakeTurn)
	defer t.endHandshakeTurn(turn)
	ctx := context.WithValue(t.setup, handshakeTurn{}, turn)
	if err := t.startTLS(ctx, c, c.front, tls.Server, c.settings.Front); err != nil {
		return t.explainFront(c, turn, err)
	}
	if c.session.NegotiatedProtocol == acmeProtocol {
		_ = c.front.CloseWrite() // a CA that is gone already has seen what it wanted
		return &ending{completed, slog.LevelInfo, byTunnel, "a CA has checked that the name is ours", nil}
	}
	return nil
}

// acmeProtocol is what a CA asks for that wants to see a certificate and nothing
// else (RFC 8737, section 4): it never reaches the target.
const acmeProtocol = "acme-tls/1"

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

// startTLS does a handshake on s within the handshake timeout and makes the
// result its stream. On failure s stays open, but of no use.
func (t *Tunnel) startTLS(ctx context.Context, c *conn, s *side, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.settings.HandshakeTimeout)
	defer cancel()
	growStack()
	start := time.Now()
	s.wire, s.config = &wire{source: s.tcp, holdTicket: s == c.front}, config
	tlsConn := role(s.wire, config)
	if err := tlsConn.HandshakeContext(ctx); err != nil {
		return err
	}
	s.wire.holdTicket, s.wire.noWait = false, true
	c.handshake = time.Since(start)
	state := tlsConn.ConnectionState()
	c.session = &state
	s.stream, s.records = tlsConn, recordsOf(tlsConn)
	return nil
}

// growStack makes the stack as large as a handshake needs it, while there is little
// on it: by itself it would grow step by step, and each time all that is on it is
// moved. A peer that then says nothing holds it until a collection.
//
//go:noinline
func growStack() {
	var b [10 << 10]byte
	keepOnStack(&b)
}

//go:noinline
func keepOnStack(*[10 << 10]byte) {}

// handshakeTurn says whether its connection has asked for a place in
// t.handshakes and holds one. It travels in the handshake's context, under the
// key handshakeTurn{}.
type handshakeTurn struct{ asked, held bool }

// awaitHandshakeTurn is for crypto/tls to call when a ClientHello is complete, so
// that peers who send nothing, or half of one, take nobody's place. Then it asks
// next, if there is one.
func (t *Tunnel) awaitHandshakeTurn(next func(*tls.ClientHelloInfo) (*tls.Config, error)) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		turn := hello.Context().Value(handshakeTurn{}).(*handshakeTurn)
		turn.asked = true
		select {
		case t.handshakes <- struct{}{}:
			turn.held = true
		case <-hello.Context().Done():
			return nil, hello.Context().Err()
		}
		if next == nil {
			return nil, nil
		}
		return next(hello)
	}
}

func (t *Tunnel) endHandshakeTurn(turn *handshakeTurn) {
	if turn.held {
		<-t.handshakes
	}
}

// close closes both sides and writes the connection's one log line. An end that
// isn't the end of stream of both sides is passed on as a reset, so that half a
// transfer never looks like a whole one. A side that has got all that was for it
// is closed without, as a reset would lose what is still on its way there; so is
// a failed handshake, for the sake of the alert that tells the peer why.
func (t *Tunnel) close(c *conn, end *ending) {
	for _, s := range []*side{c.front, c.back} {
		if s == nil {
			continue
		}
		if s.whole || end.outcome == handshakeFailed {
			s.tcp.Close()
		} else {
			s.reset()
		}
	}
	t.stats.count(c, end)
	t.logEnd(c, end)
	if c.admitted {
		t.release(c)
	}
	t.running.Done()
}

func (t *Tunnel) logEnd(c *conn, end *ending) {
	skipped := int64(0)
	if end.outcome == refused && c.session == nil { // who has a certificate is somebody we know
		var ok bool
		if skipped, ok = t.refusals.take(time.Now()); !ok {
			return
		}
	}
	ctx := context.Background()
	if !c.settings.log.Enabled(ctx, end.level) {
		return
	}
	c.settings.log.LogAttrs(ctx, end.level, end.outcome.message(), append(c.attrs(), end.attrs(skipped)...)...)
}

// attrs are what is known of c, in the order in which it became known.
func (c *conn) attrs() []slog.Attr {
	a := []slog.Attr{slog.String("peer", c.peer.String())}
	if c.target.Address != "" {
		a = append(a, slog.String("target", c.target.Address))
	}
	if len(c.failed) > 1 || len(c.failed) == 1 && c.back != nil {
		a = append(a, slog.Any("failed", c.failed))
	}
	if c.session != nil {
		if id := identity(c.session); id != "" && c.front.wire != nil {
			a = append(a, slog.String("identity", id))
		}
		if c.allowedBy != "" {
			a = append(a, slog.String("allow", clip(c.allowedBy)))
		}
		a = append(a,
			slog.String("tls", tls.VersionName(c.session.Version)),
			slog.String("cipher", tls.CipherSuiteName(c.session.CipherSuite)),
			slog.String("key_exchange", c.session.CurveID.String()),
			slog.Bool("resumed", c.session.DidResume),
			slog.Duration("handshake", c.handshake.Round(time.Microsecond)))
	}
	return append(a,
		slog.Int64("to_target", c.toBack.Load()),
		slog.Int64("to_peer", c.toFront.Load()),
		slog.Duration("duration", time.Since(c.accepted).Round(time.Microsecond)))
}

// identity is the subject of the certificate that the peer proved, if any.
func identity(session *tls.ConnectionState) string {
	if len(session.PeerCertificates) == 0 {
		return ""
	}
	return clip(dn.Text(session.PeerCertificates[0].Subject))
}
