package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// unread is how many bytes the kernel holds that have come from the peer of c (tcp(7),
// SIOCINQ).
func unread(c *net.TCPConn) (n int) {
	onSocket(c, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCINQ) })
	return n
}
