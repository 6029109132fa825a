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

// A kind of socket that isn't known is an error, not a panic.
func TestUnknownKind(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if _, err := New(a); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

// Until the other end has been told how its stream ends, a close resets the connection.
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
