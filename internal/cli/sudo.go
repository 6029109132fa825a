package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"tlstunnel/internal/config"
)

// forgotSudo returns an error if a command would use this user's config, which doesn't exist, on
// a machine where the service has a config. The user has probably forgotten sudo. Without the
// error the command would work on a second config and a second CA.
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
	// If only the service may look into the folder, the config may exist.
	if _, err := os.Stat(system); err != nil && !errors.Is(err, fs.ErrPermission) {
		return nil
	}
	return fmt.Errorf("this machine has a tlstunnel service, with its config %q and a CA: use sudo for those; for tunnels of your own beside it, with another CA, name a config by --config FILE (there is no %q)", system, own)
}
