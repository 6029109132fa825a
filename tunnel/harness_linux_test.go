package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// unacknowledged is how many bytes the system holds for the other end of c.
func unacknowledged(c *net.TCPConn) (n int) {
	raw, err := c.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	}
	return n
}

// isDead reports whether c was reset.
func isDead(c *net.TCPConn) (dead bool) {
	raw, err := c.SyscallConn()
	if err == nil {
		_ = raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			dead = err == nil && info.State == unix.BPF_TCP_CLOSE
		})
	}
	return dead
}
