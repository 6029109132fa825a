//go:build unix && !linux

package sock

import "golang.org/x/sys/unix"

// fionread is FIONREAD of macOS and the BSDs, which x/sys doesn't have.
const fionread = 0x4004667f

// Unread is how many bytes have come that weren't read.
func (c *Conn) Unread() (n int) {
	_ = c.raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), fionread) })
	return n
}
