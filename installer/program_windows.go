package installer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/windows"
)

// programFolder is the folder of the copy. The program is copied if other users can change it in
// its present place, or the service's account can't read it there.
func programFolder() (programFiles, folder string, err error) {
	programFiles, err = windows.KnownFolderPath(windows.FOLDERID_ProgramFiles, 0)
	return programFiles, filepath.Join(programFiles, "tlstunnel"), err
}

// programPlace returns where the service runs the program: its present place, if that is below
// Program Files. Only administrators can change files there.
func programPlace(program string) (string, error) {
	programFiles, folder, err := programFolder()
	if err != nil {
		return "", err
	}
	if inFolder(program, programFiles) {
		return program, nil
	}
	return filepath.Join(folder, "tlstunnel.exe"), nil
}

func inFolder(path, folder string) bool {
	folder += `\`
	return len(path) > len(folder) && strings.EqualFold(path[:len(folder)], folder)
}

// replaceProgram puts a program in the place of another, which may be running. Windows lets us
// rename a running program, but not overwrite it.
func replaceProgram(path string, data []byte) error {
	fresh, old := path+".new", path+".old"
	if err := os.WriteFile(fresh, data, 0o755); err != nil {
		return err
	}
	_ = os.Remove(old)
	if err := os.Rename(path, old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return errors.Join(err, os.Rename(old, path))
	}
	_ = os.Remove(old) // fails while the program runs; the next replacement removes it
	return nil
}

// removeProgramStep removes our copy. If the copy is running, Windows removes it when the machine
// starts again.
func removeProgramStep(folder string) Step {
	program := filepath.Join(folder, "tlstunnel.exe")
	return Step{
		Name: fmt.Sprintf("remove program %q", program),
		Done: func() (bool, error) {
			found, err := exists(program)
			return !found, err
		},
		Do: func() error {
			_ = os.Remove(program + ".old")
			if err := os.Remove(program); err != nil {
				return errors.Join(removeAtReboot(program), removeAtReboot(folder))
			}
			_ = os.Remove(folder) // fails if it isn't empty, and must stay then
			return nil
		},
		Extra: true,
	}
}

func removeAtReboot(path string) error {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return err
	}
	if err := windows.MoveFileEx(name, nil, windows.MOVEFILE_DELAY_UNTIL_REBOOT); err != nil {
		return fmt.Errorf("removing %q when the machine starts again: %w", path, err)
	}
	return nil
}
