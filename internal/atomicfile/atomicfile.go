// Package atomicfile writes files whole or not at all, born with their final
// permissions. Over an existing file it writes only where the caller says
// Replace.
//
// Data goes to a temporary file in the folder of its target, is synced to the
// disk, and only then gets its name. A process that is killed at any instant
// leaves no half-written file under that name, at worst a temporary one, which
// [Leftovers] finds. The package doesn't lock: who shares a folder with other
// processes brings their own lock.
//
// What root makes on a Unix system belongs to the owner and group of the folder
// that it is made in: so an administrator can make files for a service that has
// an account of its own. On Linux root works with that owner's rights, too; see
// package filerights.
//
//	err := atomicfile.Create("/var/lib/tlstunnel/pki/ca.key", pem, atomicfile.Secret)
//	if errors.Is(err, fs.ErrExist) { … }
package atomicfile

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"tlstunnel/internal/filerights"
)

// Access says who may read what is created.
type Access int

const (
	// Public is for everybody to read: 0644 for a file and 0755 for a folder,
	// less the umask; on Windows what the parent folder hands down.
	Public Access = iota

	// Secret is for the current user only: 0600 for a file and 0700 for a
	// folder; on Windows a protected DACL for SYSTEM, Administrators and the
	// current user.
	Secret

	// Group is for the current user and the folder's group: 0640 for a file
	// and 0750 for a folder, less the umask; on Windows as Public.
	Group
)

// TestOnlyStep is called after every step that changes the disk, with the
// name of the step. Only tests set it, before they start anything: it lets
// them end the process at each step in turn.
var TestOnlyStep = func(step string) {}

// Create makes the file at path with data in it. When path exists already, be
// it as a dangling symlink, it is left alone and the error wraps
// [fs.ErrExist]. After an error nothing is left behind.
func Create(path string, data []byte, access Access) error {
	// Publish checks it too, but needs the right to write first.
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("creating %q: %w", path, fs.ErrExist)
	}
	pending, err := Prepare(path, data, access)
	if err != nil {
		return err
	}
	return pending.Publish()
}

// Replace is [Create] for a file that may exist already: a program that reads path
// gets the old data or the new. If path is a symlink, the file that it leads to is
// replaced. After an error the old file is as it was and nothing is left behind.
func Replace(path string, data []byte, access Access) error {
	pending := &Pending{path: follow(path), named: path}
	if err := pending.prepare(data, access); err != nil {
		return err
	}
	return pending.Replace()
}

// follow returns the target of path if it is a symbolic link, otherwise path itself.
func follow(path string) string {
	if info, err := os.Lstat(path); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if target, err := filepath.EvalSymlinks(path); err == nil {
			return target
		}
	}
	return path
}

// Pending is a file that is safely on the disk but not under its name yet.
// End it with Publish, Replace or Discard.
type Pending struct {
	path  string
	named string // the name that the caller gave, which may be a link to path; the owner of its folder does the work
	temp  string
}

func (p *Pending) asOwner(work func() error) error { return filerights.AsOwner(p.named, work) }

// Prepare does the part of [Create] that can fail because of missing space or rights. A caller
// with several files prepares all of them before it publishes any.
// After an error nothing is left behind.
func Prepare(path string, data []byte, access Access) (*Pending, error) {
	p := &Pending{path: path, named: path}
	if err := p.prepare(data, access); err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Pending) prepare(data []byte, access Access) error {
	p.temp = tempName(p.path)
	return p.asOwner(func() error {
		f, err := createExclusive(p.temp, access)
		if err != nil {
			return fmt.Errorf("creating %q: %w", p.path, cause(err))
		}
		TestOnlyStep("temporary file created")

		if err := writeAndSync(f, data); err != nil {
			os.Remove(p.temp)
			return fmt.Errorf("writing %q: %w", p.path, cause(err))
		}
		TestOnlyStep("temporary file synced")
		return nil
	})
}

// Resume returns the Pending of a killed process for path: temp is one of its [Leftovers]. The
// caller holds the lock that Leftovers needs, and has made sure that the file is complete.
func Resume(leftover, path string) (*Pending, error) {
	p := &Pending{path: follow(path), named: path, temp: leftover}
	return p, p.asOwner(func() error {
		f, err := os.OpenFile(leftover, os.O_RDWR, 0)
		if err != nil {
			return fmt.Errorf("opening %q: %w", leftover, cause(err))
		}
		if err := errors.Join(f.Sync(), f.Close()); err != nil { // the killed process may not have synced it
			return fmt.Errorf("syncing %q: %w", leftover, cause(err))
		}
		TestOnlyStep("leftover synced")
		return nil
	})
}

// Publish gives the file its name, as [Create] does, and returns when that too
// is on the disk. After an error neither the file nor the temporary one is
// left.
func (p *Pending) Publish() error {
	return p.asOwner(func() error {
		if err := publish(p.temp, p.path); err != nil {
			os.Remove(p.temp)
			return fmt.Errorf("creating %q: %w", p.path, cause(err))
		}
		if err := syncDir(filepath.Dir(p.path)); err != nil {
			os.Remove(p.path)
			return fmt.Errorf("syncing the folder of %q: %w", p.path, cause(err))
		}
		TestOnlyStep("published")
		return nil
	})
}

// Replace is Publish over the file that has the name now, if there is one. After
// an error that file is as it was, unless only the folder couldn't be synced.
func (p *Pending) Replace() error {
	return p.asOwner(func() error {
		if err := replace(p.temp, p.path); err != nil {
			os.Remove(p.temp)
			return fmt.Errorf("replacing %q: %w", p.path, cause(err))
		}
		TestOnlyStep("replaced")
		if err := syncDir(filepath.Dir(p.path)); err != nil {
			return fmt.Errorf("syncing the folder of %q: %w", p.path, cause(err))
		}
		TestOnlyStep("replacement synced")
		return nil
	})
}

// Discard removes the temporary file. After Publish or Replace it does nothing.
func (p *Pending) Discard() {
	_ = p.asOwner(func() error { return os.Remove(p.temp) })
}

// MkdirAll makes the folder path with access, and the missing ones above it
// as [Public]. An existing folder is left as it is.
func MkdirAll(path string, access Access) error {
	return filerights.AsOwner(path, func() error { return mkdirAll(path, access) })
}

func mkdirAll(path string, access Access) error {
	if isDir(path) {
		return nil
	}
	parent := filepath.Dir(path)
	if parent != path {
		if err := mkdirAll(parent, Public); err != nil {
			return err
		}
	}

	err := mkdir(path, access)
	if errors.Is(err, fs.ErrExist) && isDir(path) {
		return nil // another process was faster
	}
	if err != nil {
		return fmt.Errorf("creating folder %q: %w", path, cause(err))
	}
	TestOnlyStep("folder created")

	if err := syncDir(parent); err != nil {
		return fmt.Errorf("syncing folder %q: %w", parent, cause(err))
	}
	return nil
}

// OpenSecret opens the file at path for reading and writing. If there is none it
// makes it first, empty and [Secret].
func OpenSecret(path string) (f *os.File, err error) {
	err = filerights.AsOwner(path, func() error {
		f, err = openSecret(path)
		return err
	})
	return f, err
}

func openSecret(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	created, err := createExclusive(path, Secret)
	switch {
	case err == nil:
		created.Close()
	case !errors.Is(err, fs.ErrExist): // another process was faster
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// Leftovers lists the temporary files that killed processes left behind for
// these targets, and for what they lead to as symlinks. It can't tell them from
// those of a process that is still writing: remove them only under a lock that
// all writers take. A missing folder has none.
func Leftovers(targets ...string) ([]string, error) {
	var all []string // each once
	for _, target := range targets {
		for _, path := range []string{target, follow(target)} {
			if !slices.Contains(all, path) {
				all = append(all, path)
			}
		}
	}
	var found []string
	for _, target := range all {
		dir := filepath.Dir(target)
		entries, err := os.ReadDir(dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("listing folder %q: %w", dir, cause(err))
		}
		for _, entry := range entries {
			if isTempName(entry.Name(), filepath.Base(target)) {
				found = append(found, filepath.Join(dir, entry.Name()))
			}
		}
	}
	return found, nil
}

const (
	tempSuffix = ".tmp"
	tempRandom = 8 // bytes, written as hex: no two writers ever meet
)

// tempName makes a new name such as ".ca.key.0123456789abcdef.tmp".
func tempName(path string) string {
	random := make([]byte, tempRandom)
	rand.Read(random) // never fails
	name := "." + filepath.Base(path) + "." + hex.EncodeToString(random) + tempSuffix
	return filepath.Join(filepath.Dir(path), name)
}

func isTempName(name, base string) bool {
	random, ok := strings.CutPrefix(name, "."+base+".")
	if !ok {
		return false
	}
	random, ok = strings.CutSuffix(random, tempSuffix)
	if !ok {
		return false
	}
	b, err := hex.DecodeString(random)
	return err == nil && len(b) == tempRandom
}

func writeAndSync(f *os.File, data []byte) error {
	_, err := f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// cause strips the path that package os puts into its errors: ours name the
// target, and the name of a temporary file helps nobody.
func cause(err error) error {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno
	}
	return err
}
