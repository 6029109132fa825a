//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// The umask can only narrow these.
func (a Access) fileMode() fs.FileMode {
	if a == Secret {
		return 0o600
	}
	return 0o644
}

func (a Access) dirMode() fs.FileMode {
	if a == Secret {
		return 0o700
	}
	return 0o755
}

func createExclusive(path string, access Access) (*os.File, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, access.fileMode())
}

func mkdir(path string, access Access) error {
	return os.Mkdir(path, access.dirMode())
}

// publish links instead of renaming: rename(2) would overwrite, and its
// variants that don't differ from system to system.
func publish(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	TestOnlyStep("linked")
	os.Remove(temp) // should it fail, Leftovers finds it
	TestOnlyStep("temporary file removed")
	return nil
}

// syncDir makes the names in a folder survive a power cut.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()

	err = dir.Sync()
	if errors.Is(err, syscall.EINVAL) {
		return nil // some network file systems can't, and need no sync
	}
	return err
}
