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

// versionAnswer is what version says in JSON.
type versionAnswer struct {
	Version  string `json:"version"`
	Go       string `json:"go"`
	System   string `json:"system"`
	Commit   string `json:"commit,omitempty"` // what git called the source, if it was built in a checkout
	Date     string `json:"date,omitempty"`   // of the commit, RFC 3339
	Modified bool   `json:"modified,omitempty"`
}

// builtFrom reads what the Go tool noted of the build. The packages are built
// without a checkout, so that the same source gives the same bytes.
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
