package testkit

import (
	"net"
	"testing"
)

// FreePort is an address of this machine at which nothing listens. Another program may take it
// later.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(t, err)
	defer l.Close()
	return l.Addr().String()
}
