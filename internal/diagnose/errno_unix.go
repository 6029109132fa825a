//go:build unix

package diagnose

import "syscall"

// The system's errors that have a diagnosis.
const (
	errRefused      = syscall.ECONNREFUSED
	errReset        = syscall.ECONNRESET
	errPipe         = syscall.EPIPE
	errAborted      = syscall.ECONNABORTED
	errHostUnreach  = syscall.EHOSTUNREACH
	errNetUnreach   = syscall.ENETUNREACH
	errTooMany      = syscall.EMFILE
	errForbidden    = syscall.EACCES // ICMPv6 "administratively prohibited", and a route or SELinux rule of this machine
	errNotPermitted = syscall.EPERM  // a firewall of this machine, such as IPAddressDeny= of systemd
)

const whoForbids = "a firewall on the way or a rule of this machine (a firewall, a route, SELinux, IPAddressDeny= of the unit)"
