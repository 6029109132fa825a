package tunnel

import (
	"encoding/binary"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// left reads, and learns by TCP_INQ whether the receive queue is empty. That saves the
// read that would return EAGAIN, a third of the system calls of a connection with many
// small messages. It asks for TCP_INQ once a connection has shown that it is one of these.
// The end of the stream counts as something in the queue. A reset doesn't, and old kernels
// forget the end. If such an end comes together with the last bytes, the next call of
// receive sees it, idleAfter later at the most.
type left struct {
	nothing bool // not by mistake

	vain  int // reads that found nothing
	asked bool
}

// manyVain is the number of reads in vain after which it pays to ask.
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
