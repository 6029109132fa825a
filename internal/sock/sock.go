// Package sock is a connected socket, read and written as this system does it best. It
// reads into chunks that nobody holds while nothing comes, makes system calls of which Go's
// scheduler isn't told, and asks the system what no read and no write tells: whether the
// other end is gone, and what it hasn't acknowledged. It knows nothing of TLS, starts no
// goroutine and logs nothing.
//
//	c, err := sock.New(accepted)
//	c.KeepAlive(time.Minute)
//	err = c.Receive(func(chunk *sock.Chunk, b []byte) (more bool) {
//		defer chunk.Release()
//		...
//	})
//
// No other package knows what kind of socket it has. All of them are TCP so far. Another
// kind is a case in [New].
package sock

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A Conn is one connection.
type Conn struct {
	tcp    *net.TCPConn
	raw    syscall.RawConn
	reader reader

	resets atomic.Bool // see ResetOnClose

	writing sync.Mutex // guards what follows
	writer  writer
	lost    error // what a write learned of the connection's end

	written atomic.Bool   // something was, since OwesAnswer found everything acknowledged
	probed  time.Duration // what KeepAlive was given; 0: nothing, or it isn't for this connection
}

// New takes over c. From now on a close resets the connection, see [Conn.ResetOnClose]. A byte
// that the other end sends as urgent is read like any other. By itself the system takes it
// out of the stream.
func New(c net.Conn) (*Conn, error) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return nil, fmt.Errorf("a connection of the kind %T: %w", c, errors.ErrUnsupported)
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &Conn{tcp: tcp, raw: raw}
	s.init()
	s.ResetOnClose(true)
	s.keepUrgent()
	return s, nil
}

// ResetOnClose sets SO_LINGER: a close then resets the connection, or lets the system
// deliver what it still has. The caller switches the reset off when it has told the other end
// how the stream ends. If a process is killed, the kernel closes its connections too. Without
// the reset, both ends would see an end of stream, and half a transfer would look like a
// whole one.
func (c *Conn) ResetOnClose(reset bool) {
	seconds := -1
	if reset {
		seconds = 0
	}
	c.resets.Store(reset)
	_ = c.tcp.SetLinger(seconds)
}

// ResetsOnClose is what ResetOnClose was given last.
func (c *Conn) ResetsOnClose() bool { return c.resets.Load() }

// A Consumer takes over bytes, and the chunk that they are in, which it releases. It
// says whether it wants more.
type Consumer func(c *Chunk, b []byte) (more bool)

// Receive gives consume what comes, as soon as it comes, for as long as it wants
// more; then it returns nil. At the end of the stream it returns [io.EOF]. While it waits, it
// holds no chunk, except on Windows after a large read. Only one goroutine at a time may
// call it.
func (c *Conn) Receive(consume Consumer) error { return c.receive(consume) }

// Await waits until Receive would have something to give or to say, for as long as
// that takes. It needs no more memory than a new goroutine has.
func (c *Conn) Await() {
	_ = c.tcp.SetReadDeadline(time.Time{})
	c.await()
}

// FeedsInto says that the caller writes to dst what Receive gives. Receive then chooses the
// size of its reads by what dst can take.
func (c *Conn) FeedsInto(dst *Conn) { c.reader.pace.buffer = dst.sendBuffer }

// ReadLittle limits a read to 4 KiB, or lifts that limit. It is for an other end that has
// proved nothing yet: it must not cost much memory.
func (c *Conn) ReadLittle(little bool) { c.reader.pace.little = little }

// Write takes all of b, or fails. Several goroutines may write.
func (c *Conn) Write(b []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	n, err := c.writer.write(c, b)
	if err != nil && !errors.Is(err, errPipe) && !errors.Is(err, os.ErrDeadlineExceeded) {
		c.lost = err
	}
	c.noteWritten()
	return n, err
}

// noteWritten is for whatever the other end has to acknowledge.
func (c *Conn) noteWritten() {
	if !c.written.Load() { // to load costs less, and most often it is set
		c.written.Store(true)
	}
}

// CloseWrite ends our stream with a FIN.
func (c *Conn) CloseWrite() error {
	err := c.tcp.CloseWrite()
	c.noteWritten()
	return err
}

// LostByWrite is the error with which the connection was lost, if a write has taken it.
// Linux gives the error of a reset or of an end that vanished to one system call
// only. If that was a write, the next read says end of stream, and half a transfer
// would look like a whole one. EPIPE isn't such an error: Linux gives it after an
// end of stream.
func (c *Conn) LostByWrite() error {
	if s, _ := c.State(); !s.Dead {
		return nil
	}
	c.writing.Lock() // not for long: nothing waits on a dead connection
	defer c.writing.Unlock()
	return c.lost
}

// WhyDead is the error with which a connection was lost. If the other end has reset it, and
// got no FIN from us, it is EPIPE, or nil if a write has taken that, when its stream had
// ended before. It is nil, too, when both streams had. It takes the error from the
// kernel, and so keeps it for LostByWrite.
func (c *Conn) WhyDead() error {
	c.writing.Lock() // not for long: nothing waits on a dead connection
	defer c.writing.Unlock()
	err := c.takeError()
	if err != nil && !errors.Is(err, errPipe) {
		c.lost = err
	}
	return cmp.Or(err, c.lost)
}

// EndedBefore reports whether err, of WhyDead, says that the stream of the other end had
// ended before it reset the connection.
func EndedBefore(err error) bool { return err == nil || errors.Is(err, errPipe) }

func (c *Conn) Close() error                       { return c.tcp.Close() }
func (c *Conn) LocalAddr() net.Addr                { return c.tcp.LocalAddr() }
func (c *Conn) RemoteAddr() net.Addr               { return c.tcp.RemoteAddr() }
func (c *Conn) SetDeadline(t time.Time) error      { return c.tcp.SetDeadline(t) }
func (c *Conn) SetReadDeadline(t time.Time) error  { return c.tcp.SetReadDeadline(t) }
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.tcp.SetWriteDeadline(t) }
