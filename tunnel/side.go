package tunnel

import (
	"errors"
	"io"
	"net"
	"sync/atomic"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
	"tlstunnel/internal/tlsio"
)

// side is one end of a connection: the accepted or the dialled one.
type side struct {
	stream            // what is relayed: socket, or TLS over it
	socket *sock.Conn // never closed through TLS, which may wait for its alert
	name   string     // byPeer or byTarget

	// Of a TLS side; tls is nil on a plain one.
	tls       *tlsio.Conn
	terms     *diagnose.Handshake
	handshake *handshaking // nil once it has succeeded

	isTunnel        bool // the other end is a tlstunnel, too: see mark.go
	mustCloseNotify bool // it must end its stream with close_notify

	rejected  atomic.Bool            // crypto/tls has told it by an alert why we give up
	gone      atomic.Pointer[ending] // why it takes nothing any more, if it doesn't
	vanished  atomic.Bool            // that is why it is gone
	finSeen   atomic.Bool            // its FIN was seen to be there, perhaps behind bytes that nobody has read yet
	alertSeen atomic.Bool            // likewise, what seems to be its close_notify
}

// newSide is a plain side. To close socket before [side.CloseWrite] resets it.
func newSide(socket *sock.Conn, name string) *side {
	return &side{stream: socket, socket: socket, name: name}
}

// stream is what a socket and TLS over it have in common.
type stream interface {
	Receive(sock.Consumer) error
	io.Writer
	CloseWrite() error
}

// receive is Receive of the stream, but for an end that isn't a proper one.
func (s *side) receive(consume sock.Consumer) error {
	err := s.Receive(consume)
	if (err == io.EOF || err == io.ErrUnexpectedEOF) && (s.tls == nil || s.tls.EndedByFIN()) {
		if lost := s.socket.LostByWrite(); lost != nil && !s.finSeen.Load() {
			err = lost
		} else if err == io.EOF && s.mustCloseNotify {
			err = errNoCloseNotify
		}
	}
	s.noteRejection(err)
	return err
}

// noteRejection sets rejected if err, of a read or a handshake, is the verdict of our
// own crypto/tls, and an alert says so. The alert that declines a renegotiation
// doesn't count: it is a warning, after which an end of stream would mean just that.
func (s *side) noteRejection(err error) {
	var remote *net.OpError
	switch {
	case err == nil, s.tls == nil, s.tls.SocketFailed(), err == io.EOF, diagnose.IsTimeout(err), diagnose.Declines(err):
	case errors.As(err, &remote) && remote.Op == "remote error":
	default:
		s.rejected.Store(s.tls.SentAlert())
	}
}

// CloseWrite ends the stream to s; it can still be read from.
func (s *side) CloseWrite() error {
	err := s.stream.CloseWrite()
	if err == nil {
		s.socket.ResetOnClose(false)
	}
	return err
}
