//go:build unix

package sock

import (
	"io"
	"testing"

	"golang.org/x/sys/unix"

	"tlstunnel/internal/testkit"
)

// A byte that was sent as urgent keeps its place, alone or between others.
func TestUrgentBytesStay(t *testing.T) {
	theirs, ours := connect(t)
	raw, err := theirs.SyscallConn()
	testkit.Check(t, err)
	sendAs := func(flags int, s string) {
		testkit.Check(t, raw.Control(func(fd uintptr) { err = unix.Sendto(int(fd), []byte(s), flags, nil) }), err)
	}
	for range 2 {
		sendAs(0, "before")
		sendAs(unix.MSG_OOB, "!")
		sendAs(0, "after")
	}
	sendAs(unix.MSG_OOB, "the last")
	testkit.Check(t, theirs.CloseWrite())
	got := ""
	err = ours.Receive(func(c *Chunk, b []byte) bool {
		got += string(b)
		c.Release()
		return true
	})
	if want := "before!afterbefore!afterthe last"; got != want || err != io.EOF {
		t.Errorf("got %q and %v, want %q and the end of the stream", got, err, want)
	}
}
