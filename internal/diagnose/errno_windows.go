package diagnose

import "golang.org/x/sys/windows"

// The system's errors that have a diagnosis. Those of package syscall with the same
// names are inventions that no call returns.
const (
	errRefused      = windows.WSAECONNREFUSED
	errReset        = windows.WSAECONNRESET
	errPipe         = windows.WSAESHUTDOWN
	errAborted      = windows.WSAECONNABORTED
	errHostUnreach  = windows.WSAEHOSTUNREACH
	errNetUnreach   = windows.WSAENETUNREACH
	errTooMany      = windows.WSAEMFILE
	errForbidden    = windows.WSAEACCES // the firewall of this machine
	errNotPermitted = windows.ERROR_ACCESS_DENIED
)

const whoForbids = "the firewall or the security software of this machine (outbound rules)"
