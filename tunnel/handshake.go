package tunnel

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"time"
)

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

// startTLS does a handshake on s within the handshake timeout and makes the
// result its stream. On failure s stays open, but of no use.
func (t *Tunnel) startTLS(ctx context.Context, c *conn, s *side, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(ctx, c.settings.HandshakeTimeout)
	defer cancel()
	growStack()
	start := time.Now()
	s.wire = &wire{source: s.tcp, holdTicket: s == c.front}
	s.terms = &terms{who: s.name, config: config, trusted: c.settings.Trusted}
	ctx = context.WithValue(ctx, termsKey{}, s.terms)
	if s.name == byTarget {
		config = markHello(config)
	}
	tlsConn := role(s.wire, config)
	if err := tlsConn.HandshakeContext(ctx); err != nil {
		s.noteRejection(err)
		return err
	}
	s.wire.holdTicket, s.wire.noWait = false, true
	c.handshake = time.Since(start)
	state := tlsConn.ConnectionState()
	c.session = &state
	if s.kin = isKin(s.wire.first); s.name == byTarget {
		s.kin = hasKinAnswer(&state)
	}
	s.demanding = s.kin || c.settings.RequireCloseNotify
	s.wire.first, s.terms.hello = nil, nil
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
// that peers who send nothing, or half of one, take nobody's place. Then it gives out
// what front does now.
func (t *Tunnel) awaitHandshakeTurn(front *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	get := front.GetConfigForClient
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		turn := hello.Context().Value(handshakeTurn{}).(*handshakeTurn)
		turn.asked = true
		termsOf(hello.Context()).hello = hello
		select {
		case t.handshakes <- struct{}{}:
			turn.held = true
		case <-hello.Context().Done():
			return nil, hello.Context().Err()
		}
		config := (*tls.Config)(nil) // front
		if get != nil {
			var err error
			if config, err = get(hello); err != nil {
				return nil, err
			}
		}
		if isKin(hello.Conn.(*wire).first) {
			config = answerKin(cmp.Or(config, front))
		}
		return config, nil
	}
}

func (t *Tunnel) endHandshakeTurn(turn *handshakeTurn) {
	if turn.held {
		<-t.handshakes
	}
}
