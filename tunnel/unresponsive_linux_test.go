package tunnel

import (
	"fmt"
	"syscall"
	"testing"
)

// unresponsivePort is an address that doesn't answer. The backlog of its listener is full,
// and Linux drops further SYNs.
func unresponsivePort(t testing.TB) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	check(t, err)
	t.Cleanup(func() { syscall.Close(fd) })
	loopback := [4]byte{127, 0, 0, 1}
	check(t, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback}), syscall.Listen(fd, 0))
	name, err := syscall.Getsockname(fd)
	check(t, err)
	port := name.(*syscall.SockaddrInet4).Port
	for range 3 { // a backlog of 0 has room for one
		c, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
		check(t, err)
		t.Cleanup(func() { syscall.Close(c) })
		_ = syscall.Connect(c, &syscall.SockaddrInet4{Addr: loopback, Port: port})
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
}
