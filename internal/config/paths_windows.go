package config

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// DefaultPaths returns paths in ProgramData for every user. The service and its administrators
// share them.
func DefaultPaths() Paths {
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		data = `C:\ProgramData` // the default of Windows
	}
	dir := filepath.Join(data, "tlstunnel")
	return Paths{
		Config: filepath.Join(dir, "config.toml"),
		PKI:    filepath.Join(dir, "pki"),
		Log:    filepath.Join(dir, "log", "tlstunnel.log"),
	}
}

// SystemConfig is the config of the installed service, unless `tlstunnel install` was given
// another one.
func SystemConfig() string { return DefaultPaths().Config }
