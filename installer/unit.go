package installer

import (
	_ "embed"
	"strings"
)

// packagedUnit is the systemd unit of the packages.
//
//go:embed tlstunnel.service
var packagedUnit string

// The paths in packagedUnit. The units of other installations differ only in these.
const (
	packagedProgram = "/usr/bin/tlstunnel"
	packagedConfig  = "/etc/tlstunnel/config.toml"
)

// Unit is the systemd unit that runs the program with the config.
func Unit(program, config string) string {
	var b strings.Builder
	for line := range strings.Lines(packagedUnit) {
		if strings.HasPrefix(line, "ExecStart=") || strings.HasPrefix(line, "ExecReload=") {
			line = strings.Replace(line, packagedConfig, quoteForUnit(config), 1)
			line = strings.Replace(line, packagedProgram, quoteForUnit(program), 1)
		}
		b.WriteString(line)
	}
	return b.String()
}

// quoteForUnit makes path one word of a command line in a unit: see "Quoting"
// and "Specifiers" in systemd.syntax(7), and $ in systemd.service(5).
func quoteForUnit(path string) string {
	escaped := strings.NewReplacer(`\`, `\\`, `"`, `\"`, "%", "%%", "$", "$$", "\n", `\n`).Replace(path)
	if escaped == path && !strings.ContainsAny(path, " \t';") {
		return path
	}
	return `"` + escaped + `"`
}
