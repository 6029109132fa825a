package tunnel

import (
	"net"
	"time"

	"golang.org/x/sys/windows"
)

// askOften gives up a connection whose other end hasn't acknowledged what was sent for
// some twice the idle time of keepAlive, as its probes do. That is for how long Windows
// sends it again, in seconds.
func askOften(c *net.TCPConn, interval time.Duration) {
	raw, err := c.SyscallConn()
	if err != nil {
		return
	}
	limit := 2 * keepaliveCount * interval / time.Second
	_ = raw.Control(func(fd uintptr) {
		_ = windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_TCP, windows.TCP_MAXRT, int(limit))
	})
}
