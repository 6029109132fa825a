//go:build unix

package sock

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reader is the state of receive.
type reader struct {
	try     func(fd uintptr) (done bool) // made once, as to make it allocates
	consume Consumer
	err     error
	inq     inqReader
	pace    pace
}

// writer is the state of a write that is under way.
type writer struct {
	try  func(fd uintptr) (done bool)
	rest []byte
	err  error
}

func (c *Conn) init() { c.reader.try, c.writer.try = c.readAll, c.writer.writeRest }

func (c *Conn) receive(consume Consumer) error {
	r := &c.reader
	r.consume, r.err = consume, nil
	err := c.raw.Read(r.try)
	r.consume = nil
	switch {
	case err != nil:
		return err
	case r.err != nil && r.err != io.EOF:
		return c.opError("read", r.err)
	default:
		return r.err
	}
}

// readAll reads all that there is. It isn't done when it has to wait for more.
func (c *Conn) readAll(fd uintptr) (done bool) {
	r := &c.reader
	for {
		most := r.pace.next()
		chunk := GetChunk(most)
		n, err := r.inq.read(fd, chunk.B[:most])
		if n == 0 {
			chunk.Release()
			if err == syscall.EAGAIN {
				return false
			}
			if r.err = err; err == nil {
				r.err = io.EOF
			}
			return true
		}
		if !r.pace.pass(r.consume, chunk, n) {
			return true
		}
		if r.inq.empty {
			return false
		}
	}
}

func (c *Conn) await() {
	_ = c.raw.Read(func(fd uintptr) bool {
		// Not by a look at the bytes: that would take the error of a reset away.
		events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(events, 0); err != unix.EINTR {
				return n > 0 || err != nil
			}
		}
	})
}

func (w *writer) write(c *Conn, b []byte) (int, error) {
	w.rest, w.err = b, nil
	err := c.raw.Write(w.try)
	n := len(b) - len(w.rest)
	w.rest = nil
	if err == nil && w.err != nil {
		err = c.opError("write", w.err)
	}
	return n, err
}

func (w *writer) writeRest(fd uintptr) (done bool) {
	for len(w.rest) > 0 {
		var n int
		if n, w.err = writeNow(fd, w.rest); w.err != nil {
			return w.err != syscall.EAGAIN
		}
		w.rest = w.rest[n:]
	}
	return true
}

// opError is what net would have made of err.
func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
