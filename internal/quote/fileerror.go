package quote

import (
	"errors"
	"io/fs"
	"syscall"
)

// FileError removes the path from an error of package os, because our messages quote the path
// themselves. Common errors get the same text on every system.
func FileError(err error) error {
	for _, common := range []error{fs.ErrNotExist, fs.ErrPermission} {
		if errors.Is(err, common) {
			return common
		}
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
