package installer

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// installedProgram is the place of the copy. The program is copied if the service can't run it from
// its present place.
const installedProgram = "/usr/local/bin/tlstunnel"

// hidden has the folders that the unit hides from the service (ProtectHome, PrivateTmp).
var hidden = []string{"/home/", "/root/", "/run/user/", "/tmp/", "/var/tmp/"}

// programPlace returns where the service runs the program: its present place, if the account can
// execute it there and only root can change it.
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

// replaceProgram writes a program beside the old one and gives it its name.
func replaceProgram(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".tlstunnel-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // after the rename it fails, as it should
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(0o755) // every user may run it, whatever the umask is
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}
