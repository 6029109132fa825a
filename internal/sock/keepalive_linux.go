package sock

import (
	"time"

	"golang.org/x/sys/unix"
)

// askOften makes the kernel send again what isn't acknowledged, and ask whether a closed
// window has opened, once in interval at the least. Without, it takes ever longer
// between two tries, up to two minutes. It needs Linux 6.15.
func (c *Conn) askOften(interval time.Duration) {
	const longest = 2 * time.Minute
	c.control(func(fd int) {
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_RTO_MAX_MS, int(min(interval, longest).Milliseconds()))
	})
}
