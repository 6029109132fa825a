//go:build unix

package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"tlstunnel/internal/config"
)

// socketPath returns the path of the control channel. systemd makes the folder for the
// installed service (RuntimeDirectory).
func socketPath(configFile string) string {
	dir := os.Getenv("RUNTIME_DIRECTORY")
	switch {
	case filepath.IsAbs(dir):
	case configFile == config.SystemConfig() || os.Geteuid() == 0:
		dir = "/run/tlstunnel"
	case filepath.IsAbs(os.Getenv("XDG_RUNTIME_DIR")):
		dir = filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), "tlstunnel")
	default:
		dir = filepath.Join(os.TempDir(), fmt.Sprintf("tlstunnel-%d", os.Geteuid()))
	}
	return filepath.Join(dir, "control"+instance(configFile)+".sock")
}

// listen opens the control channel for the user and the group that the
// service runs as.
func listen(configFile string) (net.Listener, error) {
	path := socketPath(configFile)
	dir := filepath.Dir(path)
	if err := os.Mkdir(dir, 0o750); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	if err := mustBeOurs(dir); err != nil {
		return nil, err
	}
	removeStaleSockets(dir, time.Now())
	if c, err := net.DialTimeout("unix", path, time.Second); err == nil {
		c.Close()
		return nil, fmt.Errorf("another tlstunnel with this config answers at %q", path)
	}
	// Remove the socket of a service that was killed.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// Until here the rights of the folder kept other users out.
	if err := os.Chmod(path, 0o660); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// removeStaleSockets removes the sockets of killed services with other configs: nothing
// listens on them. It keeps a new socket, because its service may only be about to listen.
func removeStaleSockets(dir string, now time.Time) {
	entries, _ := os.ReadDir(dir) // on an error there is nothing to remove
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil || info.Mode().Type() != fs.ModeSocket || now.Sub(info.ModTime()) < time.Minute {
			continue
		}
		path := filepath.Join(dir, entry.Name())
		if ours, _ := filepath.Match("control-*.sock", entry.Name()); !ours {
			continue
		}
		c, err := net.DialTimeout("unix", path, time.Second)
		if err == nil {
			c.Close()
		} else if errors.Is(err, syscall.ECONNREFUSED) {
			_ = os.Remove(path)
		}
	}
}

// mustBeOurs refuses a folder in which other users could make a socket.
func mustBeOurs(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() || ownerOf(info) != os.Geteuid() || info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("folder %q must belong to the user of the service, and nobody else may write in it", dir)
	}
	return nil
}

func ownerOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }
