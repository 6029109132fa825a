//go:build unix && !linux

package tunnel

import (
	"net"

	"golang.org/x/sys/unix"
)

// fionread is FIONREAD of macOS and the BSDs, which x/sys doesn't have.
const fionread = 0x4004667f

// unread is how many bytes the kernel holds that have come from the peer of c.
func unread(c *net.TCPConn) (n int) {
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), fionread) })
	}
	return n
}
