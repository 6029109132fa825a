package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// unsent is how many bytes the kernel still holds for the peer of c, sent but
// not acknowledged ones included (tcp(7), SIOCOUTQ).
func unsent(c *net.TCPConn) (n int) {
	raw, err := c.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) })
	return n
}
