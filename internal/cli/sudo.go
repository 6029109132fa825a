package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tlstunnel/internal/config"
)

// forgotSudo is an error if a command would go by a config of this user's own, which isn't
// there, on a machine whose service has one. Most have only forgotten sudo; a second config
// and a second CA would puzzle them for long.
func (a *app) forgotSudo() error {
	if a.configGiven {
		return nil
	}
	return forgotSudo(a.configFile, config.SystemConfig())
}

func forgotSudo(own, system string) error {
	if own == system {
		return nil
	}
	if _, err := os.Stat(own); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	// The folder may let nobody but the service look into it.
	if _, err := os.Stat(system); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("this machine has a tlstunnel service, with its config %q and a CA: use sudo for those; for tunnels of your own beside it, with another CA, name a config by --config FILE (there is no %q)", system, own)
}
