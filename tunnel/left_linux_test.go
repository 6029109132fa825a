package tunnel

import (
	"io"
	"net"
	"syscall"
	"testing"
	"tlstunnel/internal/diagnose"

	"golang.org/x/sys/unix"
)

// To take a read for the last, when it isn't, would lose what comes after it.
func TestLeft(t *testing.T) {
	tests := []struct {
		name    string
		send    func(peer *end) error
		nothing bool
	}{
		{"bytes", func(peer *end) error { return send(peer, 10) }, true},
		{"more than there is room for", func(peer *end) error { return send(peer, 11) }, false},
		{"bytes and the end of the stream", func(peer *end) error { check(t, send(peer, 10)); return peer.CloseWrite() }, false},
	}
	for _, test := range tests {
		for _, asked := range []bool{false, true} {
			peer, accepted := connect(t)
			inFD(t, accepted, func(fd uintptr) {
				b := make([]byte, 10)
				var left left
				for asked && !left.asked {
					if n, err := left.read(fd, b); n != 0 || err != syscall.EAGAIN {
						t.Fatalf("from an idle connection: %d bytes, %v", n, err)
					}
				}
				check(t, test.send(peer))
				eventually(t, "all has arrived", func() bool {
					n, _ := unix.IoctlGetInt(int(fd), unix.SIOCINQ)
					info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
					return n >= 10 && err == nil && (info.State == unix.BPF_TCP_CLOSE_WAIT) == (test.name == "bytes and the end of the stream")
				})
				n, err := left.read(fd, b)
				if n != 10 || err != nil || left.nothing != (asked && test.nothing) {
					t.Errorf("%s, asked: %v: %d bytes, %v, nothing left: %v", test.name, asked, n, err, left.nothing)
				}
			})
		}
	}
}

// inFD calls f with the file descriptor of c.
func inFD(t *testing.T, c *net.TCPConn, f func(fd uintptr)) {
	raw, err := c.SyscallConn()
	check(t, err, raw.Control(f))
}

// A reset that comes together with the last bytes of a connection of many small
// messages is noticed, if not at once.
func TestResetWithTheLastBytes(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	var targets []*end
	for range 20 {
		peer, target := p.open(t)
		for range 2 * manyVain {
			check(t, exchange(peer, target))
		}
		check(t, send(peer, 100))
		peer.reset()
		targets = append(targets, target)
	}
	for _, target := range targets {
		for {
			if _, err := target.Read(make([]byte, 100)); err != nil {
				if diagnose.IsTimeout(err) || err == io.EOF {
					t.Errorf("got %v, want a reset", err)
				}
				break
			}
		}
	}
}
