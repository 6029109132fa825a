package tunnel

import "golang.org/x/sys/windows"

// What the system says of a connection that fails. The errors of package syscall with
// the same names are inventions that no call returns.
const (
	errReset    = windows.WSAECONNRESET
	errPipe     = windows.WSAESHUTDOWN
	errTimedOut = windows.WSAETIMEDOUT
)
