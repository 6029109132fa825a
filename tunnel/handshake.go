package tunnel

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"time"
	"tlstunnel/internal/diagnose"
)

// handshakeFront makes the accepted connection a TLS one in server mode; a
// client certificate, where the settings ask for one, is verified with it.
func (t *Tunnel) handshakeFront(c *conn) *ending {
	if c.settings.Front == nil {
		return nil
	}
	if err := t.startTLS(c, c.front, tls.Server, c.settings.Front); err != nil {
		var refused *tls.CertificateVerificationError
		if errors.As(err, &refused) && handshakeTurns.begin(c.setup, c.origin) == nil {
			defer handshakeTurns.end() // to say what is wrong with a chain takes as long as to verify it
		}
		return cmp.Or(c.stopped(handshakeFailed), explainFront(c, err))
	}
	if c.session.NegotiatedProtocol == acmeProtocol {
		_ = c.front.CloseWrite() // a CA that is gone already has seen what it wanted
		return &ending{completed, diagnose.New("tlstunnel.acme_check"), nil}
	}
	return nil
}

// acmeProtocol is what a CA asks for that wants to see a certificate and nothing
// else (RFC 8737, section 4): it never reaches the target.
const acmeProtocol = "acme-tls/1"

// startTLS does a handshake on s within the handshake timeout and makes the
// result its stream. On failure s stays open, but of no use.
func (t *Tunnel) startTLS(c *conn, s *side, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	ctx, cancel := context.WithTimeout(c.setup, c.settings.HandshakeTimeout)
	defer cancel()
	start := time.Now()
	s.wire = &wire{Conn: s.socket, holdTicket: s == c.front}
	s.terms = &diagnose.Handshake{Side: s.name, Config: config, Trusted: c.settings.Trusted, Limit: "handshake_timeout"}
	ctx = context.WithValue(ctx, termsKey{}, s.terms)
	if s.name == byTarget {
		config = markHello(config)
		limitSessions(config, time.Now)
	}
	tlsConn := role(s.wire, config)
	h := &handshaking{ctx: ctx, origin: origin(addrPort(s.socket.RemoteAddr()).Addr()), flight: flightOf(tlsConn)}
	defer h.endTurn()
	s.wire.handshake = h
	s.socket.ReadLittle(true)
	stop := context.AfterFunc(ctx, func() { _ = s.socket.SetDeadline(time.Unix(0, 0)) })
	if s.name == byPeer {
		awaitHello(s.wire)
	}
	growStack()
	err := tlsConn.HandshakeContext(context.WithoutCancel(ctx))
	if !stop() {
		err = ctx.Err()
	}
	if err != nil {
		s.noteRejection(err)
		return err
	}
	c.handshake = time.Since(start)
	c.secured(s, tlsConn)
	return nil
}

// secured makes stream, whose handshake is over, that of s. While startTLS waits, the
// session isn't on its stack: what is in use of that decides how much is held.
//
//go:noinline
func (c *conn) secured(s *side, stream *tls.Conn) {
	s.wire.handshake = nil
	s.socket.ReadLittle(false)
	s.wire.holdTicket, s.wire.noWait = false, true
	state := stream.ConnectionState()
	c.session = &state
	if s.isTunnel = hasMark(s.wire.first); s.name == byTarget {
		s.isTunnel = hasAnswer(&state)
	}
	s.demanding = s.isTunnel || c.settings.RequireCloseNotify
	s.wire.first, s.terms.Hello = nil, nil
	s.stream, s.records = stream, recordsOf(stream)
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

// handshaking is what a wire has while a handshake is under way. It gives crypto/tls one record
// at a time, after a look at it, and in a turn of handshakeTurns. While it waits for the
// other side, to say something or to take something, it has no turn.
type handshaking struct {
	ctx    context.Context
	origin netip.Prefix
	flight flight

	header  [recordHeader]byte // of the record that comes
	payload int                // the length of that record, once its header is known
	clear   int                // how much of what is ahead crypto/tls may have now

	turn    bool // it has one
	starved bool // it waited for one in vain
}

// await makes some of what is ahead clear for crypto/tls: the next header, or the
// whole rest of a record. Where there will be no more, it is what there is. The header
// goes first, as that of a peer without TLS seems to announce a record that never comes.
func (h *handshaking) await(w *wire) error {
	if h.clear > 0 {
		return nil
	}
	want := recordHeader
	if h.payload > 0 {
		want = h.payload
	}
	for len(w.ahead) < want && w.err == nil {
		h.endTurn()
		if err := w.Receive(w.put); err != nil {
			w.end(err)
		}
	}
	h.clear = min(want, len(w.ahead))
	switch {
	case h.clear < want:
		return nil
	case h.payload == 0:
		h.header = [recordHeader]byte(w.ahead)
		h.payload = int(binary.BigEndian.Uint16(h.header[3:]))
		return nil
	}
	h.payload = 0
	if err := h.beginTurn(); err != nil {
		return err
	}
	err := h.flight.check(h.header, w.ahead[:want])
	if tooMuch, ok := err.(*flightError); ok {
		_, _ = w.Write(h.flight.refusal(tooMuch))
	}
	return err
}

// awaitHello waits for the first record of a peer. crypto/tls would do so on a large
// stack; here a silent peer costs little.
func awaitHello(w *wire) {
	for w.err == nil && !beginsWithRecord(w.ahead) {
		if err := w.Receive(w.put); err != nil {
			w.end(err)
		}
	}
}

// beginsWithRecord is true of what isn't TLS, too: that is for crypto/tls to say.
func beginsWithRecord(b []byte) bool {
	if len(b) < recordHeader {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	return b[0] != recordHandshake || n > maxRecord || len(b) >= recordHeader+n
}

// isAtStart reports whether the other side hasn't yet said anything whole.
func (h *handshaking) isAtStart() bool { return h == nil || h.flight.messages == 0 }

func (h *handshaking) beginTurn() error {
	if h.turn {
		return h.ctx.Err()
	}
	err := handshakeTurns.begin(h.ctx, h.origin)
	h.turn, h.starved = err == nil, err != nil
	return err
}

// endTurn may be called without one, and for no handshake at all.
func (h *handshaking) endTurn() {
	if h != nil && h.turn {
		h.turn = false
		handshakeTurns.end()
	}
}
