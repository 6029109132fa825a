package quote

import (
	"errors"
	"io/fs"
	"syscall"
)

// FileError strips the path that package os puts into its errors, and says the
// common ones in the same words on every system. Our messages quote the path
// themselves.
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
