package sock

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"tlstunnel/internal/testkit"
)

// If a queue that isn't empty is taken for empty, what comes after is lost.
func TestINQ(t *testing.T) {
	tests := []struct {
		name  string
		sends int
		ends  bool
		empty bool
	}{
		{"bytes", 10, false, true},
		{"more than there is room for", 11, false, false},
		{"bytes and the end of the stream", 10, true, false},
	}
	for _, test := range tests {
		for _, asks := range []bool{false, true} {
			theirs, ours := connect(t)
			ours.control(func(fd int) {
				b := make([]byte, 10)
				var r inqReader
				for asks && !r.asks {
					if n, err := r.read(uintptr(fd), b); n != 0 || err != syscall.EAGAIN {
						t.Fatalf("from an idle connection: %d bytes, %v", n, err)
					}
				}
				_, err := theirs.Write(make([]byte, test.sends))
				testkit.Check(t, err)
				if test.ends {
					testkit.Check(t, theirs.CloseWrite())
				}
				testkit.Eventually(t, "all has arrived", func() bool {
					n, _ := unix.IoctlGetInt(fd, unix.SIOCINQ)
					info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
					return n >= 10 && err == nil && (info.State == unix.BPF_TCP_CLOSE_WAIT) == test.ends
				})
				n, err := r.read(uintptr(fd), b)
				if n != 10 || err != nil || r.empty != (asks && test.empty) {
					t.Errorf("%s, asks: %v: %d bytes, %v, empty: %v", test.name, asks, n, err, r.empty)
				}
			})
		}
	}
}
