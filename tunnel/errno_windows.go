package tunnel

import "golang.org/x/sys/windows"

// The errors of the system for a failed connection. The errors of package syscall with
// the same names are inventions of Go, which no call returns.
const (
	errReset    = windows.WSAECONNRESET
	errPipe     = windows.WSAESHUTDOWN
	errTimedOut = windows.WSAETIMEDOUT
)
