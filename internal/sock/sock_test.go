package sock

import (
	"errors"
	"net"
	"testing"

	"tlstunnel/internal/testkit"
)

// connect makes a connection over loopback. Ours is the end that was accepted.
func connect(t testing.TB) (theirs *net.TCPConn, ours *Conn) {
	t.Helper()
	theirs, accepted := testkit.Connect(t)
	ours, err := New(accepted)
	testkit.Check(t, err)
	return theirs, ours
}

// An unknown kind of socket leads to an error, not to a panic.
func TestUnknownKind(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := New(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// As long as the other end hasn't been told how its stream ends, a close resets the
// connection.
func TestResetOnClose(t *testing.T) {
	for _, told := range []bool{false, true} {
		theirs, ours := connect(t)
		if told {
			ours.ResetOnClose(false)
		}
		testkit.Check(t, ours.Close())
		n, err := theirs.Read(make([]byte, 1))
		if n != 0 || told != (err.Error() == "EOF") {
			t.Errorf("told: %v, got %d bytes and %v", told, n, err)
		}
	}
}
