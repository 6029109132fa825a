//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// The umask can only narrow these.
func (a Access) fileMode() fs.FileMode {
	switch a {
	case Secret:
		return 0o600
	case Group:
		return 0o640
	default:
		return 0o644
	}
}

func (a Access) dirMode() fs.FileMode {
	switch a {
	case Secret:
		return 0o700
	case Group:
		return 0o750
	default:
		return 0o755
	}
}

func createExclusive(path string, access Access) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, access.fileMode())
	if err != nil {
		return nil, err
	}
	if err := giveAway(f, filepath.Dir(path), access, access.fileMode()); err != nil {
		f.Close()
		os.Remove(path)
		return nil, err
	}
	return f, nil
}

func mkdir(path string, access Access) error {
	if err := os.Mkdir(path, access.dirMode()); err != nil {
		return err
	}
	// By its descriptor: who owns the folder above could put a link in its place.
	dir, err := os.OpenFile(path, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	return giveAway(dir, filepath.Dir(path), access, access.dirMode())
}

// giveAway makes what root has just made belong to the owner of its folder, and
// readable for the group if that is what access means, whatever root's umask.
func giveAway(f *os.File, folder string, access Access, mode fs.FileMode) error {
	if os.Geteuid() != 0 {
		return nil
	}
	info, err := os.Stat(folder)
	if err != nil {
		return err
	}
	owner := info.Sys().(*syscall.Stat_t)
	if owner.Uid == 0 && owner.Gid == 0 {
		return nil
	}
	err = f.Chown(int(owner.Uid), int(owner.Gid))
	if errors.Is(err, fs.ErrPermission) {
		return nil // a root with less rights than usual, as in a container
	}
	if err == nil && access == Group {
		err = f.Chmod(mode)
	}
	return err
}

// publish links instead of renaming: rename(2) would overwrite, and its
// variants that don't differ from system to system.
func publish(temp, path string) error {
	if err := os.Link(temp, path); err != nil {
		return err
	}
	TestOnlyStep("linked")
	os.Remove(temp) // if that fails, Leftovers finds the file
	TestOnlyStep("temporary file removed")
	return nil
}

func replace(temp, path string) error { return os.Rename(temp, path) }

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
