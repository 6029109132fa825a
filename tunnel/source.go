package tunnel

import (
	"net"
	"time"
)

// source is a TCP connection, read and written as suits this system best.
type source struct {
	*net.TCPConn
	reading reading
	writing writing
}

// taker takes over bytes, and the chunk that they are in, which it gives back. It
// says whether it wants more.
type taker func(c *chunk, b []byte) (more bool)

// receive gives take what comes, as soon as it comes, for as long as it wants
// more; then it returns nil. At the end of the stream it returns io.EOF. It has no
// chunk while it waits, but on Windows after a large read. It isn't for several
// goroutines at once.
func (s *source) receive(take taker) error { return s.reading.receive(s.TCPConn, take) }

// await waits until receive would have something to give or to say, for as long as
// that takes. It needs no more memory than a new goroutine has.
func (s *source) await() {
	_ = s.SetReadDeadline(time.Time{})
	s.reading.await(s.TCPConn)
}

// Write isn't for several goroutines at once.
func (s *source) Write(b []byte) (int, error) { return s.writing.write(s.TCPConn, b) }
