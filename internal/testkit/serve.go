package testkit

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
)

// Listen listens at a free port of this machine until the end of the test.
func Listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	Check(t, err)
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// FreePort is an address of this machine at which nothing listens. Another program may take it
// later.
func FreePort(t testing.TB) string {
	t.Helper()
	l := Listen(t)
	l.Close()
	return l.Addr().String()
}

// Serve has each connection that l accepts served in a goroutine. It returns l's address. At the end of
// the test, it closes l and what is open, and waits for the goroutines.
func Serve(t testing.TB, l net.Listener, serve func(net.Conn)) (address string) {
	ended := t.Context()
	var running sync.WaitGroup
	running.Go(func() {
		for c, err := l.Accept(); err == nil; c, err = l.Accept() {
			running.Go(func() {
				defer c.Close()
				defer context.AfterFunc(ended, func() { c.Close() })()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return l.Addr().String()
}

// Echo sends back what it gets, the end of the stream included. It is for Serve.
func Echo(c net.Conn) {
	_, _ = io.Copy(c, struct{ io.Reader }{c}) // a bare TCPConn would splice, and the pipes stay open
	if half, ok := c.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// Connect makes a connection over loopback. Both ends are closed at the end of the test.
func Connect(t testing.TB) (dialled, accepted *net.TCPConn) {
	t.Helper()
	l := Listen(t)
	defer l.Close()
	d, err := net.Dial("tcp", l.Addr().String())
	Check(t, err)
	t.Cleanup(func() { d.Close() })
	a, err := l.Accept()
	Check(t, err)
	t.Cleanup(func() { a.Close() })
	return d.(*net.TCPConn), a.(*net.TCPConn)
}
