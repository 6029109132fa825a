package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/access"
	"tlstunnel/internal/config"
)

func (a *app) checkCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:   "check",
		Short: "Find every mistake in the config and its certificates",
		Long: `Find every mistake in the config, and in the certificates and keys that it names,
without opening a socket or writing a file. Each mistake is a line
FILE:LINE:COL: tunnel "NAME": what is wrong, and what would be right.

Root and administrators may read more than the installed service. So if the config is
that of the service, check also says what the service's account can't read or write,
and how to change that.`,
		Example: "  tlstunnel check --config ./config.toml",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.check() },
	})
}

// checkAnswer is the JSON of `check`.
type checkAnswer struct {
	File     string           `json:"file"`
	OK       bool             `json:"ok"`
	Problems []config.Problem `json:"problems"`
}

func (a *app) check() error {
	if err := a.forgotSudo(); err != nil {
		return err
	}
	cfg, problems, err := config.Load(a.configFile)
	if err != nil {
		return err
	}
	if cfg != nil {
		problems = append(problems, access.Check(cfg, time.Now())...)
		problems.Sort()
	}
	ok := problems.Err() == nil
	if a.json {
		err = a.answerJSON(checkAnswer{a.configFile, ok, append([]config.Problem{}, problems...)})
	} else {
		for _, p := range problems {
			fmt.Fprintln(a.stdout, p)
		}
		if ok {
			fmt.Fprintf(a.stdout, "%s: ok, tunnels: %d\n", a.configFile, len(cfg.Tunnels))
		}
	}
	if err == nil && !ok {
		return errReported
	}
	return err
}
