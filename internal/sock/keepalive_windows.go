package sock

import (
	"time"

	"golang.org/x/sys/windows"
)

// askOften gives up a connection whose other end hasn't acknowledged what was sent for
// some twice the idle time of KeepAlive, as its probes do. That is for how long Windows
// sends it again, in seconds.
func (c *Conn) askOften(interval time.Duration) {
	limit := 2 * keepaliveCount * interval / time.Second
	_ = c.raw.Control(func(fd uintptr) {
		_ = windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, windows.TCP_MAXRT, int(limit))
	})
}
