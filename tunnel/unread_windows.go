package tunnel

import (
	"net"
	"unsafe"

	"golang.org/x/sys/windows"
)

// fionread is FIONREAD of Winsock, which x/sys doesn't have.
const fionread = 0x4004667f

// unread is how many bytes Windows holds that have come from the peer of c.
func unread(c *net.TCPConn) int {
	var n, size uint32
	if raw, err := c.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = windows.WSAIoctl(windows.Handle(fd), fionread, nil, 0, (*byte)(unsafe.Pointer(&n)), uint32(unsafe.Sizeof(n)), &size, nil, 0)
		})
	}
	return int(n)
}
