//go:build unix

package tunnel

import "syscall"

// What the system says of a connection that fails.
const (
	errReset    = syscall.ECONNRESET
	errPipe     = syscall.EPIPE
	errTimedOut = syscall.ETIMEDOUT
)
