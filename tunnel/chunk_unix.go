//go:build unix

package tunnel

import (
	"io"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
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
		r.raw, r.try = raw, r.readNow
	}
	if err := r.raw.Read(r.try); err != nil {
		return nil, 0, err
	}
	switch c := r.chunk; {
	case r.err != nil:
		return nil, 0, &net.OpError{
			Op: "read", Net: "tcp", Source: conn.LocalAddr(), Addr: conn.RemoteAddr(), Err: os.NewSyscallError("read", r.err),
		}
	case c == nil:
		return nil, 0, io.EOF
	default:
		r.chunk = nil
		return c, r.n, nil
	}
}

// readNow leaves a chunk only if there were bytes.
func (r *reading) readNow(fd uintptr) (done bool) {
	c := chunks.Get().(*chunk)
	for {
		r.n, r.err = unix.Read(int(fd), c[:chunkSize])
		if r.err != unix.EINTR {
			break
		}
	}
	if r.err == nil && r.n > 0 {
		r.chunk = c
		return true
	}
	chunks.Put(c)
	return r.err != unix.EAGAIN
}
