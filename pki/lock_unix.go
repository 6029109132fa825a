//go:build unix

package pki

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// mustBeFolder does nothing: here [filerights.AsOwner] protects against links.
func mustBeFolder(string) error { return nil }

func tryLock(f *os.File) (bool, error) {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return true, nil
		case errors.Is(err, unix.EWOULDBLOCK):
			return false, nil
		case !errors.Is(err, unix.EINTR):
			return false, err
		}
	}
}
