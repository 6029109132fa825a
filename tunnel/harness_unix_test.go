//go:build unix

package tunnel

import "syscall"

// raiseFileLimit lets one process hold both ends and the middle of thousands of
// connections.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

// errRefused is for a port where nothing listens.
const errRefused = syscall.ECONNREFUSED
