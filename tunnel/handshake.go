package tunnel

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
	"tlstunnel/internal/tlsio"
)

// handshakeFront makes the accepted connection a TLS one in server mode; a
// client certificate, where the settings ask for one, is verified with it.
func (t *Tunnel) handshakeFront(c *conn) *ending {
	if c.settings.Front == nil {
		return nil
	}
	if err := t.doHandshake(c, c.front, tlsio.Server, c.settings.Front); err != nil {
		var refused *tls.CertificateVerificationError
		if errors.As(err, &refused) && handshakeTurns.acquire(c.setup, c.origin, t.returning.has(c.origin)) == nil {
			defer handshakeTurns.release() // to explain a refused chain takes as long as to verify it
		}
		return cmp.Or(c.stopped(handshakeFailed), explainFront(c, err))
	}
	if c.session.NegotiatedProtocol == acmeProtocol {
		_ = c.front.CloseWrite() // an error means that the CA has already closed
		return &ending{completed, diagnose.New("tlstunnel.acme_check"), nil}
	}
	return nil
}

// acmeProtocol is the application protocol of a CA that only looks at the certificate (RFC 8737,
// section 4). Such a connection never reaches the target.
const acmeProtocol = "acme-tls/1"

// doHandshake does a handshake on s within the handshake timeout and makes the result its stream.
// On failure s stays open, but can't be used any more.
func (t *Tunnel) doHandshake(c *conn, s *side, role func(*sock.Conn, *tls.Config) *tlsio.Conn, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(c.setup, c.settings.HandshakeTimeout)
	defer cancel()
	start := time.Now()
	s.terms = &diagnose.Handshake{Side: s.name, Config: config, Trusted: c.settings.Trusted, Limit: "handshake_timeout"}
	if s.name == byTarget {
		config = markHello(config)
		limitSessions(config, time.Now)
	}
	s.tls = role(s.socket, config)
	ctx = context.WithValue(ctx, sideKey{}, s)
	h := &handshaking{ctx: ctx, origin: origin(addrPort(s.socket.RemoteAddr()).Addr()), shows: s.tls.ShowsMessages()}
	h.flight.trusted = c.settings.Trusted
	h.returning = s.name == byTarget || t.returning.has(h.origin) // nobody but the config chooses targets
	s.handshake = h
	defer h.endTurn()
	stop := context.AfterFunc(ctx, func() { _ = s.socket.SetDeadline(time.Unix(0, 0)) })
	if s.name == byPeer {
		s.tls.AwaitRecord()
	}
	err := s.tls.Handshake(ctx, tlsio.Watch{Wait: h.endTurn, Record: h.record})
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		s.noteRejection(err)
		return err
	}
	c.handshake = time.Since(start)
	c.secured(s)
	return nil
}

// secured makes TLS, whose handshake is over, the stream of s. While doHandshake waits, the
// session isn't on its stack: what is in use of that decides how much is held.
//
//go:noinline
func (c *conn) secured(s *side) {
	state := s.tls.ConnectionState()
	c.session = &state
	if s.isTunnel = hasMark(s.tls.First()); s.name == byTarget {
		s.isTunnel = hasAnswer(&state)
	}
	s.mustCloseNotify = s.isTunnel || c.settings.RequireCloseNotify
	s.tls.ForgetFirst()
	s.stream, s.handshake, s.terms.Hello = s.tls, nil, nil
}

// handshaking is the state of a side during its handshake, and after a failed one. It checks
// each record and waits for a turn of handshakeTurns, before crypto/tls gets the record. While
// the handshake waits for the other side, it holds no turn.
type handshaking struct {
	ctx       context.Context
	origin    netip.Prefix
	returning bool
	flight    flight
	shows     bool // it sees the messages in plain text, see [tlsio.Conn.ShowsMessages]

	records int  // that came
	turn    bool // it holds a turn
	starved bool // it waited for a turn in vain
}

// record is for [tlsio.Watch].
func (h *handshaking) record(begun, messages []byte, encrypted bool) (tls.AlertError, error) {
	if h.records++; h.records > maxRecords {
		err := tooManyRecords()
		return err.alert, err
	}
	if err := h.beginTurn(); err != nil {
		return 0, err
	}
	if !h.shows {
		h.flight.messages++
		return 0, nil
	}
	err := h.flight.read(begun, messages, encrypted)
	if tooMuch, ok := err.(*flightError); ok {
		return tooMuch.alert, err
	}
	return 0, err
}

func (h *handshaking) beginTurn() error {
	if h.turn {
		return h.ctx.Err()
	}
	err := handshakeTurns.acquire(h.ctx, h.origin, h.returning)
	h.turn, h.starved = err == nil, err != nil
	return err
}

// endTurn releases the turn, if it holds one.
func (h *handshaking) endTurn() {
	if h.turn {
		h.turn = false
		handshakeTurns.release()
	}
}
