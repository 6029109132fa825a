//go:build unix

package service

import (
	"os"
	"os/signal"
	"syscall"
)

// reloadSignals returns the signals that ask for a reload: SIGHUP.
func reloadSignals() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
