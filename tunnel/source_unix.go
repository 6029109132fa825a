//go:build unix

package tunnel

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// reading is the state of receive.
type reading struct {
	raw  syscall.RawConn
	try  func(fd uintptr) (done bool) // made once, as to make it allocates
	take taker
	err  error
	left left
	pace pace
}

func (r *reading) receive(conn *net.TCPConn, take taker) error {
	if r.raw == nil {
		raw, err := conn.SyscallConn()
		if err != nil {
			return err
		}
		r.raw, r.try = raw, r.takeAll
	}
	r.take, r.err = take, nil
	err := r.raw.Read(r.try)
	r.take = nil
	switch {
	case err != nil:
		return err
	case r.err != nil && r.err != io.EOF:
		return opError("read", conn, r.err)
	default:
		return r.err
	}
}

// takeAll takes all that there is. It isn't done when it has to wait for more.
func (r *reading) takeAll(fd uintptr) (done bool) {
	for {
		most := r.pace.next()
		c := takeChunk(most)
		n, err := r.left.read(fd, c.b[headroom:headroom+most])
		if n == 0 {
			c.giveBack()
			if err == syscall.EAGAIN {
				return false
			}
			if r.err = err; err == nil {
				r.err = io.EOF
			}
			return true
		}
		if !r.pace.take(r.take, c, n) {
			return true
		}
		if r.left.nothing {
			return false
		}
	}
}

// await is for after receive.
func (r *reading) await(*net.TCPConn) {
	_ = r.raw.Read(func(fd uintptr) bool {
		// Not by a look at the bytes: that would take the error of a reset away.
		events := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if n, err := unix.Poll(events, 0); err != unix.EINTR {
				return n > 0 || err != nil
			}
		}
	})
}

// writing is the state of a write that is under way.
type writing struct {
	raw syscall.RawConn
	try func(fd uintptr) (done bool)

	rest []byte
	err  error
}

// write takes all of b, or fails.
func (w *writing) write(conn *net.TCPConn, b []byte) (int, error) {
	if w.raw == nil {
		raw, err := conn.SyscallConn()
		if err != nil {
			return 0, err
		}
		w.raw, w.try = raw, w.writeRest
	}
	w.rest, w.err = b, nil
	err := w.raw.Write(w.try)
	n := len(b) - len(w.rest)
	w.rest = nil
	if err == nil && w.err != nil {
		err = opError("write", conn, w.err)
	}
	return n, err
}

func (w *writing) writeRest(fd uintptr) (done bool) {
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
func opError(op string, conn *net.TCPConn, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: os.NewSyscallError(op, err)}
}
