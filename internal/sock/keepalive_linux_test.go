package sock

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"tlstunnel/internal/testkit"
)

// Loopback drops probes, see KeepAlive.
func TestLoopbackIsNotProbed(t *testing.T) {
	_, c := connect(t)
	testkit.Check(t, c.tcp.SetKeepAlive(false)) // Go turns it on by itself
	c.KeepAlive(time.Minute)
	c.control(func(fd int) {
		if on, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 0 || err != nil {
			t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
		}
	})
}
