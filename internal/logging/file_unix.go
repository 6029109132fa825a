//go:build unix

package logging

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
)

// sameLog reports whether a and b are the same file.
func sameLog(a, b os.FileInfo) bool { return os.SameFile(a, b) }

// worksAsOwner reports whether we are root and the file's folder belongs to another user.
func worksAsOwner(file string) bool {
	info, err := os.Stat(filepath.Dir(file))
	return err == nil && os.Geteuid() == 0 && info.Sys().(*syscall.Stat_t).Uid != 0
}

func forGroup(dir string) bool {
	info, err := os.Stat(dir)
	return err == nil && info.Mode().Perm()&0o057 == 0o050
}

// shareLog lets the group read a log file that an earlier version made, if createLog would let
// it now. Rotation keeps the mode.
func shareLog(file string) error {
	info, err := os.Lstat(file)
	if err != nil || info.Mode() != 0o600 || !forGroup(filepath.Dir(file)) {
		return nil
	}
	f, err := os.OpenFile(file, os.O_WRONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(0o640), f.Close())
}
