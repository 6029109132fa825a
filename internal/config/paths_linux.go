package config

import (
	"os"
	"path/filepath"
)

// DefaultPaths returns the paths of the whole machine for root, and paths in the home folder for
// every other user. If systemd gives the unit a folder, as in systemd.exec(5), the path is in that.
func DefaultPaths() Paths {
	p := userPaths()
	if os.Geteuid() == 0 {
		p = Paths{
			Config: "/etc/tlstunnel/config.toml",
			PKI:    "/var/lib/tlstunnel/pki",
			Log:    "/var/log/tlstunnel/tlstunnel.log",
		}
	}
	for _, unit := range []struct {
		variable string
		path     *string
		name     string
	}{
		{"CONFIGURATION_DIRECTORY", &p.Config, "config.toml"},
		{"STATE_DIRECTORY", &p.PKI, "pki"},
		{"LOGS_DIRECTORY", &p.Log, "tlstunnel.log"},
	} {
		if dir := os.Getenv(unit.variable); filepath.IsAbs(dir) {
			*unit.path = filepath.Join(dir, unit.name)
		}
	}
	return p
}
