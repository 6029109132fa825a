package sock

import "golang.org/x/sys/windows"

func (c *Conn) keepUrgent() {
	const oobInline = 0x100 // SO_OOBINLINE of Winsock, which x/sys doesn't have
	_ = c.raw.Control(func(fd uintptr) {
		_ = windows.SetsockoptInt(windows.Handle(fd), windows.SOL_SOCKET, oobInline, 1)
	})
}
