package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
)

// side is one end of a connection: the accepted or the dialled one.
type side struct {
	stream         // what is relayed: tcp, or TLS over it
	tcp    *source // never closed through TLS, which may wait for its alert
	name   string  // byPeer or byTarget

	// Of a TLS side; wire is nil on a plain one.
	wire    *wire
	config  *tls.Config
	records records

	whole bool // it has got all that was for it, and its end of stream

	writing sync.Mutex // held while the stream is written to; guards what follows
	cut     bool       // a write learned that the connection was reset
}

// newSide is a plain side.
func newSide(tcp *net.TCPConn, name string) *side {
	s := &source{TCPConn: tcp}
	return &side{stream: s, tcp: s, name: name}
}

// stream is what *net.TCPConn and *tls.Conn have in common.
type stream interface {
	io.ReadWriter
	CloseWrite() error
}

// receive gives take what the stream brings, as [source.receive] does.
//
// Linux gives the error of a reset to one system call only; when that was a
// write, the read after it says end of stream, and half a transfer would look
// like a whole one.
func (s *side) receive(take taker) error {
	var err error
	if s.wire == nil {
		err = s.tcp.receive(take)
	} else {
		err = s.receiveTLS(take)
	}
	if err == io.EOF && s.wasCut() {
		err = errReset
	}
	return err
}

func (s *side) receiveTLS(take taker) error {
	// Some may have come along with the end of the handshake.
	more, err := s.decrypt(take, smallChunk)
	if !more {
		return err
	}
	ended := s.tcp.receive(func(c *chunk, b []byte) bool {
		size := c.size()
		if !s.records.lend(c, b) {
			s.wire.put(c, b)
		}
		more, err = s.decrypt(take, size)
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
	if c := takeChunk(smallChunk); !s.records.lend(c, nil) {
		c.giveBack()
	}
	_, err = s.decrypt(take, smallChunk)
	return err
}

// decrypt gives take what can be decrypted of the bytes that are here: size at the
// most, and a part of a record. That fits into a chunk for size, headroom and all.
func (s *side) decrypt(take taker, size int) (more bool, err error) {
	c, n := takeChunk(size), 0
	for err == nil {
		var read int
		read, err = s.stream.Read(c.b[n:])
		n += read
	}
	s.records.takeBack()
	if err == errNothingYet {
		err = nil
	}
	if n == 0 {
		c.giveBack()
		return err == nil, err
	}
	return take(c, c.b[:n]) && err == nil, err
}

func (s *side) wasCut() bool {
	if s.wire != nil && !s.wire.finished || !isDead(s.tcp.TCPConn) {
		return false
	}
	s.writing.Lock() // not for long: nothing waits on a dead connection
	defer s.writing.Unlock()
	return s.cut
}

func (s *side) Write(b []byte) (int, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	n, err := s.write(b)
	s.cut = s.cut || errors.Is(err, errReset)
	return n, err
}

// write makes one write of several records.
func (s *side) write(b []byte) (int, error) {
	if s.wire == nil || len(b) <= maxRecord {
		return s.stream.Write(b)
	}
	s.wire.gather(len(b))
	n, err := s.stream.Write(b)
	if flushed := s.wire.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
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
