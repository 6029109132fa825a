package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// isDead reports whether the connection is over for the kernel: it was reset, or
// both ends have closed it.
func isDead(c *net.TCPConn) bool {
	state, ok := tcpState(c)
	return ok && state == unix.BPF_TCP_CLOSE
}

// hasEnded reports whether the other end has ended its stream or reset the
// connection, even if there are bytes to be read before that.
func hasEnded(c *net.TCPConn) bool {
	switch state, ok := tcpState(c); state {
	case unix.BPF_TCP_ESTABLISHED, unix.BPF_TCP_FIN_WAIT1, unix.BPF_TCP_FIN_WAIT2:
		return false
	default:
		return ok
	}
}

// tcpState is not ok when c is closed.
func tcpState(c *net.TCPConn) (state uint8, ok bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0, false
	}
	err = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if ok = err == nil; ok {
			state = info.State
		}
	})
	return state, ok && err == nil
}
