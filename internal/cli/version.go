package cli

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"

	"tlstunnel/service"
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
	Version string `json:"version"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func (a *app) version() error {
	v := versionAnswer{service.Version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	if a.json {
		return a.answerJSON(v)
	}
	_, err := fmt.Fprintf(a.stdout, "tlstunnel %s (%s, %s)\n", v.Version, v.Go, v.System)
	return err
}
