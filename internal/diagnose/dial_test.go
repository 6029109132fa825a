package diagnose

import (
	"log/slog"
	"net"
	"strings"
	"testing"
)

// How a system reports a firewall that rejects, on Linux and Windows, for both versions of
// IP.
func TestFirewallRejects(t *testing.T) {
	for errno, want := range map[error]string{
		errRefused:      "nothing listens at the target, or a firewall rejects",
		errHostUnreach:  "a firewall on the way rejects",
		errForbidden:    "connecting to the target is forbidden",
		errNotPermitted: "connecting to the target is forbidden",
	} {
		err := &net.OpError{Op: "dial", Err: &syscallError{errno}}
		if d := Dial(Target, "connect_timeout", err); !strings.Contains(d.String(), want) || d.Level != slog.LevelWarn {
			t.Errorf("%v: %v", errno, d)
		}
	}
}

type syscallError struct{ err error }

func (e *syscallError) Error() string { return "connect: " + e.err.Error() }
func (e *syscallError) Unwrap() error { return e.err }
