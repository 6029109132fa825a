package config

import (
	"path/filepath"

	"golang.org/x/sys/windows"
)

// DefaultPaths gives paths in ProgramData for every user: the service and the people who
// look after it share them.
func DefaultPaths() Paths {
	data, err := windows.KnownFolderPath(windows.FOLDERID_ProgramData, 0)
	if err != nil {
		data = `C:\ProgramData` // where it is, unless somebody has moved it
	}
	dir := filepath.Join(data, "tlstunnel")
	return Paths{
		Config: filepath.Join(dir, "config.toml"),
		PKI:    filepath.Join(dir, "pki"),
		Log:    filepath.Join(dir, "log", "tlstunnel.log"),
	}
}

// SystemConfig is the config of the installed service, unless it was installed with
// another.
func SystemConfig() string { return DefaultPaths().Config }
