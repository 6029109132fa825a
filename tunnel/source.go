package tunnel

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// source is a TCP connection, read and written as suits this system best.
type source struct {
	*net.TCPConn
	reading reading

	sending sync.Mutex // held during a write; guards what follows
	writing writing
	lost    error // what a write learned of the connection's end

	quiet   bool          // endQuietly was called
	written atomic.Bool   // since the look that found all of it acknowledged
	probed  time.Duration // what keepAlive was given; 0: nothing, or it isn't for this connection
}

// newSource makes the system reset tcp when it is closed, unless endQuietly is called
// before. A process that is killed closes its connections too: without this, both
// ends would see an end of stream, and half a transfer would look like a whole one.
func newSource(tcp *net.TCPConn) *source {
	_ = tcp.SetLinger(0)
	return &source{TCPConn: tcp}
}

// endQuietly is for when the other end has been told how its stream ends. A close
// then lets the system deliver what it still has.
func (s *source) endQuietly() {
	_ = s.SetLinger(-1)
	s.quiet = true
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

func (s *source) Write(b []byte) (int, error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	n, err := s.writing.write(s.TCPConn, b)
	if err != nil && !errors.Is(err, errPipe) && !errors.Is(err, os.ErrDeadlineExceeded) {
		s.lost = err
	}
	s.noteWritten()
	return n, err
}

// noteWritten is for whatever the other end has to acknowledge.
func (s *source) noteWritten() {
	if !s.written.Load() { // to load costs less, and most often it is set
		s.written.Store(true)
	}
}

// cut is the error with which the connection was lost, if a write has taken it.
// Linux gives the error of a reset or of a peer that vanished to one system call
// only. If that was a write, the next read says end of stream, and half a transfer
// would look like a whole one. EPIPE isn't such an error: Linux gives it after an
// end of stream.
func (s *source) cut() error {
	if !isDead(s.TCPConn) {
		return nil
	}
	s.sending.Lock() // not for long: nothing waits on a dead connection
	defer s.sending.Unlock()
	return s.lost
}
