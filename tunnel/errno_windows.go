package tunnel

import "golang.org/x/sys/windows"

// The system's errors that get an explanation. Those of package syscall with
// the same names are inventions that no call returns.
const (
	errRefused      = windows.WSAECONNREFUSED
	errReset        = windows.WSAECONNRESET
	errPipe         = windows.WSAESHUTDOWN
	errAborted      = windows.WSAECONNABORTED
	errHostUnreach  = windows.WSAEHOSTUNREACH
	errNetUnreach   = windows.WSAENETUNREACH
	errTimedOut     = windows.WSAETIMEDOUT
	errTooMany      = windows.WSAEMFILE
	errForbidden    = windows.WSAEACCES // the firewall of this machine
	errNotPermitted = windows.ERROR_ACCESS_DENIED
)

const whoForbids = "by the firewall or the security software of this machine: allow tlstunnel to connect there (outbound rules)"
