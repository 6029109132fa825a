package tunnel

import (
	"errors"
	"io"
	"net"
	"os"
	"sync/atomic"
	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
)

// side is one end of a connection: the accepted or the dialled one.
type side struct {
	stream            // what is relayed: tcp, or TLS over it
	socket *sock.Conn // never closed through TLS, which may wait for its alert
	name   string     // byPeer or byTarget

	// Of a TLS side; wire is nil on a plain one.
	wire    *wire
	terms   *diagnose.Handshake
	records records

	isTunnel  bool // the other end is a tlstunnel, too: see mark.go
	demanding bool // it must end its stream with close_notify

	rejected atomic.Bool            // crypto/tls has told it by an alert why we give up
	gone     atomic.Pointer[ending] // why it takes nothing any more, if it doesn't
	vanished atomic.Bool            // that is why it is gone
	finCame  atomic.Bool            // its FIN was seen to be there, perhaps behind bytes that nobody has read yet
	sawEnd   atomic.Bool            // its close_notify was read, or seems to wait; what came before may not have been passed on yet
}

// newSide is a plain side. To close socket before [side.CloseWrite] resets it.
func newSide(socket *sock.Conn, name string) *side {
	return &side{stream: socket, socket: socket, name: name}
}

// stream is what *sock.Conn and *tls.Conn have in common.
type stream interface {
	io.ReadWriter
	CloseWrite() error
}

// receive gives consume what the stream brings, as [sock.Conn.Receive] does.
func (s *side) receive(consume sock.Consumer) error {
	var err error
	if s.wire == nil {
		err = s.socket.Receive(consume)
	} else {
		err = s.receiveTLS(consume)
	}
	if (err == io.EOF || err == io.ErrUnexpectedEOF) && (s.wire == nil || s.wire.finished) { // not a close_notify
		if lost := s.socket.LostByWrite(); lost != nil && !s.finCame.Load() {
			err = lost
		} else if err == io.EOF && s.demanding {
			err = errCut
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
	case err == nil, s.wire == nil, s.wire.err != nil, err == io.EOF, diagnose.IsTimeout(err), diagnose.Declines(err):
	case errors.As(err, &remote) && remote.Op == "remote error":
	default:
		s.rejected.Store(s.wire.sentAlert())
	}
}

func (s *side) receiveTLS(consume sock.Consumer) error {
	// Some may have come along with the end of the handshake.
	more, err := s.decrypt(consume, sock.SmallChunk)
	if !more {
		return err
	}
	ended := s.socket.Receive(func(c *sock.Chunk, b []byte) bool {
		size := c.Size()
		if !s.records.lend(c, b) {
			s.wire.put(c, b)
		}
		more, err = s.decrypt(consume, size)
		return more
	})
	if !more {
		return err
	}
	if errors.Is(ended, os.ErrDeadlineExceeded) {
		return ended
	}
	// What its end means depends on whether it comes within a record.
	s.wire.end(ended)
	if c := sock.GetChunk(sock.SmallChunk); !s.records.lend(c, nil) {
		c.Release()
	}
	_, err = s.decrypt(consume, sock.SmallChunk)
	return err
}

// decrypt gives consume what can be decrypted of the bytes that are here: size at the
// most, and a part of a record. That fits into a chunk for size, sock.Headroom and all.
func (s *side) decrypt(consume sock.Consumer, size int) (more bool, err error) {
	c, n := sock.GetChunk(size), 0
	for err == nil {
		var read int
		read, err = s.stream.Read(c.B[n:])
		n += read
	}
	s.records.takeBack()
	if err == io.EOF && !s.wire.finished {
		s.sawEnd.Store(true)
	}
	if err == errNothingYet {
		err = nil
	}
	if n == 0 {
		c.Release()
		return err == nil, err
	}
	return consume(c, c.B[:n]) && err == nil, err
}

// Write makes one write of several records.
func (s *side) Write(b []byte) (int, error) {
	if s.wire == nil {
		return s.stream.Write(b)
	}
	if len(b) > maxRecord {
		s.wire.gather(len(b))
	}
	n, err := s.stream.Write(b)
	if flushed := s.wire.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
	return n, err
}

// CloseWrite ends the stream to s; it can still be read from.
func (s *side) CloseWrite() error {
	err := s.stream.CloseWrite()
	if err == nil && s.wire != nil {
		err = s.wire.flush()
	}
	if err == nil {
		s.socket.ResetOnClose(false)
	}
	return err
}
