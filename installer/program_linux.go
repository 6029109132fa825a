package installer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// installedProgram is where the program is copied to when the service can't run
// it where it lies.
const installedProgram = "/usr/local/bin/tlstunnel"

// hidden are the folders that the unit hides from the service (ProtectHome,
// PrivateTmp).
var hidden = []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"}

// programPlace is where the service finds the program: where it lies, if the
// account can execute it there and nobody but root can change it.
func (h host) programPlace(program string) (string, error) {
	program, err := filepath.EvalSymlinks(program)
	if err != nil {
		return "", err
	}
	for _, dir := range hidden {
		if strings.HasPrefix(program, dir) {
			return installedProgram, nil
		}
	}
	for path := program; ; path = filepath.Dir(path) {
		info, err := os.Stat(path)
		if err != nil {
			return "", err
		}
		s := settingOf(path, info)
		if s.uid != 0 || s.mode&0o022 != 0 || s.mode&0o001 == 0 {
			return installedProgram, nil
		}
		if path == filepath.Dir(path) {
			return program, nil
		}
	}
}

// programStep copies the program to where the service can run it. A program
// that runs from there goes on with the old file.
func (h host) programStep(from, to string) Step {
	path := h.root + to
	var old []byte // nil: there was none
	return Step{
		Name: fmt.Sprintf("program %q", to),
		Done: func() (bool, error) {
			there, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			if err != nil {
				return false, err
			}
			ours, err := os.ReadFile(from)
			return bytes.Equal(there, ours), err
		},
		Do: func() error {
			ours, err := os.ReadFile(from)
			if err != nil {
				return err
			}
			there, err := os.ReadFile(path)
			if err == nil {
				old = there
			} else if !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return replaceProgram(path, ours)
		},
		Undo: func() error {
			if old == nil {
				return os.Remove(path)
			}
			return replaceProgram(path, old)
		},
	}
}

// replaceProgram writes a program beside the old one and gives it its name.
func replaceProgram(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tlstunnel-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // fails after the rename
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o755) // whatever the umask: everybody may run it
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
