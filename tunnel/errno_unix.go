//go:build unix

package tunnel

import "syscall"

// The system's errors that get an explanation.
const (
	errRefused     = syscall.ECONNREFUSED
	errReset       = syscall.ECONNRESET
	errPipe        = syscall.EPIPE
	errAborted     = syscall.ECONNABORTED
	errHostUnreach = syscall.EHOSTUNREACH
	errNetUnreach  = syscall.ENETUNREACH
	errTimedOut    = syscall.ETIMEDOUT
	errTooMany     = syscall.EMFILE
)
