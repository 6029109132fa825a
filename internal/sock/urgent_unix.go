//go:build unix

package sock

import "golang.org/x/sys/unix"

func (c *Conn) keepUrgent() {
	_ = c.raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_OOBINLINE, 1) })
}
