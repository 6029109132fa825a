package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"

	"tlstunnel/internal/version"
)

func (a *app) versionCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:     "version",
		Short:   "Show the version",
		Example: "  tlstunnel version",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.version() },
	})
}

// versionAnswer is the JSON of `version`.
type versionAnswer struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	System   string `json:"system"`
	Commit   string `json:"commit,omitempty"` // the hash of the git commit, if it was built in a checkout
	Date     string `json:"date,omitempty"`   // the date of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
}

// builtFrom reads what the Go tool has recorded about the build. It finds no commit in the deb, the
// rpm and the MSI: they are built with -buildvcs=false, so that the same source gives the same bytes.
func builtFrom() versionAnswer {
	v := versionAnswer{Version: version.Version, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			v.Commit = s.Value
		case "vcs.time":
			v.Date = s.Value
		case "vcs.modified":
			v.Modified = s.Value == "true"
		}
	}
	return v
}

// text is one line, as `tlstunnel version` and `tlstunnel --version` show it.
func (v versionAnswer) text() string {
	line := fmt.Sprintf("tlstunnel %s (%s, %s", v.Version, v.Go, v.System)
	if v.Commit != "" {
		line += fmt.Sprintf(", commit %.12s of %s", v.Commit, v.Date)
	}
	if v.Modified {
		line += ", with changes"
	}
	return line + ")\n"
}

func (a *app) version() error {
	v := builtFrom()
	if a.json {
		return a.answerJSON(v)
	}
	_, err := fmt.Fprint(a.stdout, v.text())
	return err
}
