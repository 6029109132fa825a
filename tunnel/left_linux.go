package tunnel

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// left reads, and knows without another read whether anything is left to be read.
// It asks Linux for that (TCP_INQ) once a connection has shown that it is one of
// many small messages: reads that find nothing are a third of their system calls.
// The end of the stream counts as something. A reset doesn't, and old kernels forget
// the end: what comes together with the last bytes is then seen at the next call of
// receive, idleAfter later at the most.
type left struct {
	nothing bool // not by mistake

	vain  int // reads that found nothing
	asked bool
}

// manyVain is after how many reads in vain to ask pays.
const manyVain = 8

func (l *left) read(fd uintptr, b []byte) (n int, err error) {
	l.nothing = false
	if l.asked {
		return l.readAndAsk(fd, b)
	}
	if n, err = readNow(fd, b); err == syscall.EAGAIN {
		if l.vain++; l.vain == manyVain {
			l.asked = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_INQ, 1) == nil
		}
	}
	return n, err
}

func (l *left) readAndAsk(fd uintptr, b []byte) (int, error) {
	var control struct {
		unix.Cmsghdr
		left [8]byte // an int32 and padding
	}
	to := unix.Iovec{Base: unsafe.SliceData(b)}
	to.SetLen(len(b))
	m := unix.Msghdr{Iov: &to, Control: (*byte)(unsafe.Pointer(&control))}
	m.SetIovlen(1)
	m.SetControllen(int(unsafe.Sizeof(control)))
	n, err := rawIO(unix.SYS_RECVMSG, fd, unsafe.Pointer(&m), 0)
	l.nothing = n > 0 && control.Level == unix.IPPROTO_TCP && control.Type == unix.TCP_CM_INQ && binary.NativeEndian.Uint32(control.left[:]) == 0
	return n, err
}
