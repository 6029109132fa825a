package pki

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/windows"
)

// mustBeFolder refuses, for an administrator, a folder that is a junction or a link. The
// service's account could have made it, so that we write where that account may not. Windows
// can't turn a folder into a junction unless it is empty, and the open lock file keeps it from
// being empty.
func mustBeFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil || info.IsDir() || !windows.GetCurrentProcessToken().IsElevated() {
		return err
	}
	return fmt.Errorf("folder %q is a junction or a link, and the service's account could have made it: set pki.dir to the folder that it leads to", dir)
}

func tryLock(f *os.File) (bool, error) {
	const flags = windows.LOCKFILE_EXCLUSIVE_LOCK | windows.LOCKFILE_FAIL_IMMEDIATELY
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, new(windows.Overlapped))
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}
