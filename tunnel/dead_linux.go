package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// isDead reports whether the connection is over for the kernel: it was reset, or
// both ends have closed it.
func isDead(c *net.TCPConn) (dead bool) {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	_ = raw.Control(func(fd uintptr) {
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		dead = err == nil && info.State == unix.BPF_TCP_CLOSE
	})
	return dead
}
