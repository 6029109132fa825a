//go:build unix

package tunnel

import (
	"os"
	"syscall"
)

// raiseFileLimit lets one process hold both ends and the middle of thousands of
// connections.
func raiseFileLimit() {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) == nil {
		limit.Cur = limit.Max
		_ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit)
	}
}

// openFiles is 0 where the system doesn't tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}

// errRefused is for a port where nothing listens.
const errRefused = syscall.ECONNREFUSED
