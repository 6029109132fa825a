//go:build unix

package tunnel

import "syscall"

// The errors of the system for a failed connection.
const (
	errReset    = syscall.ECONNRESET
	errPipe     = syscall.EPIPE
	errTimedOut = syscall.ETIMEDOUT
)
