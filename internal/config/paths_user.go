//go:build !windows

package config

import (
	"os"
	"os/user"
	"path/filepath"
)

// SystemConfig is the config of the installed service, unless `tlstunnel install` was given
// another one.
func SystemConfig() string { return "/etc/tlstunnel/config.toml" }

// userPaths follows the XDG base directory specification. It does so on macOS too: users of
// command line tools look there for their files.
func userPaths() Paths {
	config := xdg("XDG_CONFIG_HOME", ".config")
	state := xdg("XDG_STATE_HOME", ".local/state")
	return Paths{
		Config: filepath.Join(config, "tlstunnel", "config.toml"),
		PKI:    filepath.Join(state, "tlstunnel", "pki"),
		Log:    filepath.Join(state, "tlstunnel", "log", "tlstunnel.log"),
	}
}

// xdg is the folder that a variable names, or its default in the home folder.
func xdg(variable, byDefault string) string {
	// The specification says to ignore a relative path.
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	return filepath.Join(home(), byDefault)
}

// home is the user's home folder. Services may run without $HOME.
func home() string {
	if dir := os.Getenv("HOME"); filepath.IsAbs(dir) {
		return dir
	}
	if u, err := user.Current(); err == nil && filepath.IsAbs(u.HomeDir) {
		return u.HomeDir
	}
	return "/" // nothing can be written there, and the error will name it
}
