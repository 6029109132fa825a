//go:build unix

package tunnel

import (
	"io"
	"net"
	"os"
	"syscall"
)

// reading is the state of a read that is under way.
type reading struct {
	raw syscall.RawConn
	try func(fd uintptr) (done bool) // made once, as to make it allocates

	chunk *chunk
	n     int
	err   error
}

// read asks the system first and waits only then: in between, it has no chunk.
func (r *reading) read(conn *net.TCPConn) (*chunk, int, error) {
	if r.raw == nil {
		raw, err := conn.SyscallConn()
		if err != nil {
			return nil, 0, err
		}
		r.raw, r.try = raw, r.readOnce
	}
	if err := r.raw.Read(r.try); err != nil {
		return nil, 0, err
	}
	switch c := r.chunk; {
	case r.err != nil:
		return nil, 0, opError("read", conn, r.err)
	case c == nil:
		return nil, 0, io.EOF
	default:
		r.chunk = nil
		return c, r.n, nil
	}
}

// readOnce leaves a chunk only if there were bytes.
func (r *reading) readOnce(fd uintptr) (done bool) {
	c := chunks.Get().(*chunk)
	if r.n, r.err = readNow(fd, c[:chunkSize]); r.n > 0 {
		r.chunk = c
		return true
	}
	chunks.Put(c)
	return r.err != syscall.EAGAIN
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
