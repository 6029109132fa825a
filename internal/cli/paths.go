package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
)

func (a *app) pathsCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:     "paths",
		Short:   "Show where the config, the PKI and the log are",
		Long:    "Show where the config, the PKI and the log are: by the config if it can be read,\notherwise as they would be by default.",
		Example: "  tlstunnel paths",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.paths() },
	})
}

func (a *app) paths() error {
	p := config.DefaultPaths()
	file, err := filepath.Abs(a.configFile)
	if err != nil {
		return err
	}
	p.Config = file
	cfg, problems, err := config.Load(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	case err == nil && cfg == nil:
		err = problems.Err()
	case err == nil:
		p.PKI, p.Log = cfg.PKI.Dir, cfg.Log.File
	}
	if a.json {
		return errors.Join(err, a.answerJSON(p))
	}
	fmt.Fprintf(a.stdout, "config  %s\npki     %s\nlog     %s\n", p.Config, p.PKI, p.Log)
	if err := a.forgotSudo(); err != nil {
		a.hint(err.Error())
	}
	return err
}
