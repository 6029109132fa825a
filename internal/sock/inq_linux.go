package sock

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// inqReader reads, and learns by TCP_INQ whether the receive queue is empty. That saves the
// read that would return EAGAIN, a third of the system calls of a connection with many
// small messages. It asks for TCP_INQ once a connection has shown that it is one of these.
// The kernel counts the end of the stream as something in the queue. It doesn't count a
// reset, and old kernels don't count the end either. If such an end comes together with the
// last bytes, the next call of Receive sees it.
type inqReader struct {
	empty bool // the queue is empty, after the last read; not by mistake

	emptyReads int // reads that found nothing
	asks       bool
}

// manyEmptyReads is the number of reads in vain after which it pays to ask.
const manyEmptyReads = 8

func (r *inqReader) read(fd uintptr, b []byte) (n int, err error) {
	r.empty = false
	if r.asks {
		return r.readAndAsk(fd, b)
	}
	if n, err = readNow(fd, b); err == syscall.EAGAIN {
		if r.emptyReads++; r.emptyReads == manyEmptyReads {
			r.asks = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_INQ, 1) == nil
		}
	}
	return n, err
}

func (r *inqReader) readAndAsk(fd uintptr, b []byte) (int, error) {
	var control struct {
		unix.Cmsghdr
		inq [8]byte // an int32 and padding
	}
	to := unix.Iovec{Base: unsafe.SliceData(b)}
	to.SetLen(len(b))
	m := unix.Msghdr{Iov: &to, Control: (*byte)(unsafe.Pointer(&control))}
	m.SetIovlen(1)
	m.SetControllen(int(unsafe.Sizeof(control)))
	n, err := rawIO(unix.SYS_RECVMSG, fd, unsafe.Pointer(&m), 0)
	r.empty = n > 0 && control.Level == unix.IPPROTO_TCP && control.Type == unix.TCP_CM_INQ && binary.NativeEndian.Uint32(control.inq[:]) == 0
	return n, err
}
