//go:build unix

package control

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
)

func dial(ctx context.Context, configFile string) (net.Conn, error) {
	path := socketPath(configFile)
	if err := mustBeTrusted(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "unix", path)
}

// mustBeTrusted refuses a folder that another user may have made, for example in /tmp: any
// program could answer there. The folder of the installed service belongs to its account, but
// only root can make a folder in that place.
func mustBeTrusted(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if parent, err := os.Stat(filepath.Dir(dir)); err == nil && ownerOf(parent) == 0 && parent.Mode().Perm()&0o022 == 0 {
		return nil
	}
	if owner := ownerOf(info); owner != 0 && owner != os.Geteuid() || info.Mode().Perm()&0o022 != 0 && info.IsDir() {
		return fmt.Errorf("who answers in folder %q may be anybody, and isn't asked: it belongs to the user with the number %d, its mode being %04o; remove it, and if the service runs as another user than you, ask as that user",
			dir, owner, info.Mode().Perm())
	}
	return nil
}

// explain says what a failed connection to the control channel means.
func explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w with this config", ErrNotRunning)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("this user may not speak to the service: use root, or a user of the group tlstunnel: %w", err)
	default:
		return err
	}
}
