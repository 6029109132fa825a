//go:build linux || windows

package installer

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// programStep copies the program to a place where the service can run it. If the program there is
// running, it goes on with the old file.
func programStep(from, to string) Step {
	var old []byte    // nil: there was none
	var folder string // the folder of to, if this step has made it
	return Step{
		Name: fmt.Sprintf("program %q", to),
		Done: func() (bool, error) {
			there, err := readIfThere(to)
			if there == nil || err != nil {
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
			if old, err = readIfThere(to); err != nil {
				return err
			}
			dir := filepath.Dir(to)
			err = os.Mkdir(dir, 0o755)
			if err == nil {
				folder = dir
				err = os.Chmod(dir, 0o755) // Mkdir has left out bits of the umask
			}
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return err
			}
			return replaceProgram(to, ours)
		},
		Undo: func() error {
			if old != nil {
				return replaceProgram(to, old)
			}
			if err := os.Remove(to); err != nil {
				return err
			}
			if folder != "" {
				_ = os.Remove(folder) // fails if it isn't empty, and must stay then
			}
			return nil
		},
	}
}

// readIfThere is nil without an error if there is no such file.
func readIfThere(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}
