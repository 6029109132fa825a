package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
)

// side is one end of a connection: the accepted or the dialled one.
type side struct {
	stream              // what is relayed: tcp, or TLS over it
	tcp    *net.TCPConn // never closed through TLS, which may wait for its alert
	name   string       // byPeer or byTarget

	wire   *wire       // of a TLS side; nil on a plain one
	config *tls.Config // of a TLS side

	whole bool // it has got all that was for it, and its end of stream

	writing sync.Mutex // held while the stream is written to; guards what follows
	cut     bool       // a write learned that the connection was reset
}

// stream is what *net.TCPConn and *tls.Conn have in common.
type stream interface {
	io.ReadWriter
	CloseWrite() error
}

// Read reads from the stream. Linux gives the error of a reset to one system
// call only; when that was a write, the read after it says end of stream, and
// half a transfer would look like a whole one.
func (s *side) Read(b []byte) (int, error) {
	n, err := s.stream.Read(b)
	if err == io.EOF && s.wasCut() {
		err = errReset
	}
	return n, err
}

func (s *side) wasCut() bool {
	if s.wire != nil && !s.wire.finished || !isDead(s.tcp) {
		return false
	}
	s.writing.Lock() // not for long: nothing waits on a dead connection
	defer s.writing.Unlock()
	return s.cut
}

func (s *side) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.stream.Write(b)
	s.cut = s.cut || errors.Is(err, errReset)
	return n, err
}

// CloseWrite ends the stream to s; it can still be read from.
func (s *side) CloseWrite() error {
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.stream.CloseWrite()
	s.cut = s.cut || errors.Is(err, errReset)
	s.whole = err == nil
	return err
}

// reset closes s so that its peer sees an error, not an end of stream.
func (s *side) reset() {
	_ = s.tcp.SetLinger(0)
	s.tcp.Close()
}
