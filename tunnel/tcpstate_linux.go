package tunnel

import (
	"encoding/binary"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tcpState is what the kernel knows of a connection.
type tcpState struct {
	dead  bool // it was reset or has timed out, or both ends have closed it
	ended bool // the other end has ended its stream or reset the connection, even if there are bytes to be read before that

	asked  int           // retransmissions or window probes that weren't answered
	silent time.Duration // since the last packet came
}

// tcpStateOf is not ok when c is closed.
func tcpStateOf(c *net.TCPConn) (s tcpState, ok bool) {
	var info *unix.TCPInfo
	onSocket(c, func(fd int) { info, _ = unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO) })
	if info == nil {
		return s, false
	}
	s.dead = info.State == unix.BPF_TCP_CLOSE
	switch info.State {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2:
	default:
		s.ended = true
	}
	s.asked = max(int(info.Retransmits), int(info.Probes))
	// Linux doesn't note each packet with data as one with an acknowledgement.
	s.silent = time.Duration(min(info.Last_ack_recv, info.Last_data_recv)) * time.Millisecond
	return s, true
}

// isDead is [tcpState].dead.
func isDead(c *net.TCPConn) bool {
	s, _ := tcpStateOf(c)
	return s.dead
}

// unsent is how many bytes the kernel still holds for the peer of c, sent but not
// acknowledged ones included, and the end of the stream as one (tcp(7), SIOCOUTQ).
func unsent(c *net.TCPConn) (n int) {
	onSocket(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n
}

// hasTakenAll reports whether the peer's system has all that was written to c.
func hasTakenAll(c *net.TCPConn) bool { return unsent(c) == 0 }

// sendBufferOf is that of c. Go's scheduler isn't told of the system call, see rawIO.
func sendBufferOf(c *net.TCPConn) (b sendBuffer) {
	b = unknownBuffer // Linux before 4.12
	onSocket(c, func(fd int) {
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
// read or write would take it too. It is EPIPE if the peer had ended its stream before.
func takeError(c *net.TCPConn) (err error) {
	onSocket(c, func(fd int) {
		if errno, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR); errno != 0 {
			err = opError("read", c, unix.Errno(errno))
		}
	})
	return err
}

// alertWaits reports whether the last of the bytes that wait to be read from c is an
// alert of TLS, or may be one: in TLS 1.3 it looks like two bytes of data. It is true
// when none wait.
func alertWaits(c *net.TCPConn) (may bool) {
	may = true
	onSocket(c, func(fd int) {
		waiting, _ := unix.IoctlGetInt(fd, unix.SIOCINQ)
		if waiting == 0 {
			return
		}
		last := make([]byte, min(waiting, 128)) // longer than any alert
		// What comes before is read over and over into the same memory.
		over := make([]byte, 64<<10)
		var into [][]byte
		for rest := waiting - len(last); rest > 0 && len(into) < 1000; rest -= len(over) {
			into = append(into, over[:min(rest, len(over))])
		}
		n, _, _, _, err := unix.RecvmsgBuffers(fd, append(into, last), nil, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == nil && n == waiting {
			may = endsInAlert(last)
		}
	})
	return may
}

// endsInAlert reports whether the last record of TLS in b is an alert: see isAlert.
func endsInAlert(b []byte) bool {
	for n := 2; n <= len(b)-recordHeader; n++ {
		record := b[len(b)-recordHeader-n:]
		if record[1] == 3 && int(binary.BigEndian.Uint16(record[3:])) == n {
			return isAlert(record)
		}
	}
	return false
}

// onSocket calls f, unless c is closed.
func onSocket(c *net.TCPConn, f func(fd int)) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
