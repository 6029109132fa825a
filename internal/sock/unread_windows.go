package sock

import (
	"unsafe"

	"golang.org/x/sys/windows"
)

// fionread is FIONREAD of Winsock, which x/sys doesn't have.
const fionread = 0x4004667f

// Unread is how many bytes have come that weren't read.
func (c *Conn) Unread() int {
	var n, size uint32
	_ = c.raw.Control(func(fd uintptr) {
		_ = windows.WSAIoctl(windows.Handle(fd), fionread, nil, 0, (*byte)(unsafe.Pointer(&n)), uint32(unsafe.Sizeof(n)), &size, nil, 0)
	})
	return int(n)
}
