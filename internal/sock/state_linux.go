package sock

import (
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// State asks the kernel. It is not ok when c is closed.
func (c *Conn) State() (s State, ok bool) {
	var info *unix.TCPInfo
	c.control(func(fd int) { info, _ = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO) })
	if info == nil {
		return s, false
	}
	s.Dead = info.State == unix.BPF_TCP_CLOSE
	switch info.State {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2:
	default:
		s.Ended = true
	}
	asked := max(int(info.Retransmits), int(info.Probes)) // that weren't answered
	// Linux doesn't note each packet with data as one with an acknowledgement.
	silent := time.Duration(min(info.Last_ack_recv, info.Last_data_recv)) * time.Millisecond
	s.Vanished = asked >= keepaliveCount && silent >= 2*c.probed
	return s, true
}

// Unacknowledged is how many bytes the kernel still holds for the other end, sent ones
// included, and the end of the stream as one (tcp(7), SIOCOUTQ). Where the system doesn't
// tell, ok is false.
func (c *Conn) Unacknowledged() (n int, ok bool) {
	c.control(func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n, true
}

// Unread is how many bytes have come that weren't read (tcp(7), SIOCINQ).
func (c *Conn) Unread() (n int) {
	c.control(func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}

// sendBuffer asks the kernel. Go's scheduler isn't told of the system call, see rawIO.
func (c *Conn) sendBuffer() (b sendBuffer) {
	b = unknownBuffer // Linux before 4.12
	c.control(func(fd int) {
		var info [unix.SK_MEMINFO_VARS]uint32
		size := uint32(unsafe.Sizeof(info))
		_, _, errno := syscall.RawSyscall6(syscall.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
			uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			b = sendBuffer{size: int(info[unix.SK_MEMINFO_SNDBUF]), held: int(info[unix.SK_MEMINFO_WMEM_QUEUED])}
		}
	})
	return b
}

// takeError is why a connection is dead. The kernel tells that only once, and each
// read or write would take it too. It is EPIPE if the other end had ended its stream before.
func (c *Conn) takeError() (err error) {
	c.control(func(fd int) {
		if errno, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 {
			err = c.opError("read", unix.Errno(errno))
		}
	})
	return err
}

// PeekLast returns the last n bytes, or fewer, of those that have come and weren't read. ok is
// false if none have come, or if the kernel doesn't tell.
func (c *Conn) PeekLast(n int) (last []byte, ok bool) {
	c.control(func(fd int) {
		waiting, _ := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if waiting == 0 {
			return
		}
		last = make([]byte, min(waiting, n))
		// What comes before is read over and over into the same memory.
		over := make([]byte, 64<<10)
		var into [][]byte
		for rest := waiting - len(last); rest > 0 && len(into) < 1000; rest -= len(over) {
			into = append(into, over[:min(rest, len(over))])
		}
		got, _, _, _, err := unix.RecvmsgBuffers(fd, append(into, last), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		ok = err == nil && got == waiting
	})
	return last, ok
}

// control calls f, unless c is closed.
func (c *Conn) control(f func(fd int)) { _ = c.raw.Control(func(fd uintptr) { f(int(fd)) }) }
