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
	stream         // what is relayed: tcp, or TLS over it
	tcp    *source // never closed through TLS, which may wait for its alert
	name   string  // byPeer or byTarget

	// Of a TLS side; wire is nil on a plain one.
	wire    *wire
	config  *tls.Config
	records records
	full    bool // crypto/tls may have more decrypted bytes: a chunk was too small

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

// receive reads from the stream what there is, as much as a chunk holds, and
// waits when there is nothing. The caller gives the chunk back.
//
// Linux gives the error of a reset to one system call only; when that was a
// write, the read after it says end of stream, and half a transfer would look
// like a whole one.
func (s *side) receive() (c *chunk, n int, err error) {
	if s.wire == nil {
		c, n, err = s.tcp.receive()
	} else {
		c, n, err = s.receiveTLS()
	}
	if err == io.EOF && s.wasCut() {
		err = errReset
	}
	return c, n, err
}

// receiveTLS waits until there are bytes, and only then takes a chunk for what
// is decrypted of them.
func (s *side) receiveTLS() (*chunk, int, error) {
	for {
		if !s.full {
			s.wire.fill()
		}
		c, n := chunks.Get().(*chunk), 0
		var err error
		s.records.lend()
		for err == nil && n < chunkSize && (n == 0 || s.wire.ahead != nil) {
			var more int
			more, err = s.stream.Read(c[n:chunkSize])
			n += more
		}
		s.records.takeBack()
		s.full = n == chunkSize
		if err == errNothingYet {
			err = nil
		}
		if n > 0 {
			return c, n, err
		}
		chunks.Put(c)
		if err != nil {
			return nil, 0, err
		}
	}
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
	s.wire.gather()
	n, err := s.stream.Write(b)
	if flushed := s.wire.flush(); err == nil && flushed != nil {
		return 0, flushed
	}
	return n, err
}

// maxRecord is what a record of TLS carries at the most (RFC 8446, section 5.1).
const maxRecord = 16 << 10

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
