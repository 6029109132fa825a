package tunnel

import (
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestLoopbackIsNotProbed: loopback drops probes, see keepAlive.
func TestLoopbackIsNotProbed(t *testing.T) {
	l := listen(t)
	c := mustDial(t, l.Addr().String()).tcp
	if err := c.SetKeepAlive(false); err != nil { // Go turns it on by itself
		t.Fatal(err)
	}
	keepAlive(c, time.Minute)
	raw, err := c.SyscallConn()
	check(t, err)
	check(t, raw.Control(func(fd uintptr) {
		if on, err := unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE); on != 0 || err != nil {
			t.Errorf("SO_KEEPALIVE is %d, %v", on, err)
		}
	}))
}
