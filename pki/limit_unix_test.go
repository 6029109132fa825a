//go:build unix

package pki

import (
	"os/signal"
	"strconv"
	"syscall"
)

// limitFileSize makes writes fail as on a full disk. Only the errno differs.
func limitFileSize(bytes string) {
	n, err := strconv.ParseUint(bytes, 10, 64)
	if err != nil {
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: n}); err != nil {
		panic(err)
	}
}
