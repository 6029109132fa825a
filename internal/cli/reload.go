package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"tlstunnel/internal/control"
	"tlstunnel/internal/quote"
	"tlstunnel/service"
)

func (a *app) reloadCommand() *cobra.Command {
	var dryRun bool
	cmd := a.addJSON(&cobra.Command{
		Use:   "reload",
		Short: "Make the running service read its config, certificates and keys anew",
		Long: `Make the running service read its config, certificates and keys anew, and say
what that has changed. Connections go on, except those of a tunnel that is gone or listens
elsewhere: they have shutdown_grace to end. If anything is wrong, nothing changes.`,
		Example: "  tlstunnel reload --dry-run\n  tlstunnel reload",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.reload(cmd.Context(), dryRun) },
	})
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what a reload would change")
	return cmd
}

// reloadAnswer is the JSON of `reload`.
type reloadAnswer struct {
	OK      bool            `json:"ok"`
	DryRun  bool            `json:"dry_run"`
	Error   string          `json:"error,omitempty"` // if it isn't empty, nothing was changed
	Changes service.Changes `json:"changes"`
}

func (a *app) reload(ctx context.Context, dryRun bool) error {
	file, err := a.serviceConfig()
	if err != nil {
		return err
	}
	changes, err := service.AskReload(ctx, file, dryRun)
	switch {
	case a.json:
		return a.reloadJSON(reloadAnswer{OK: err == nil, DryRun: dryRun, Changes: changes}, err)
	case err == nil:
		a.showChanges(changes, dryRun)
		return nil
	}
	a.complain(err)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		a.hint(fmt.Sprintf("the config is %s; `--config FILE` names another, `tlstunnel start` starts the installed service", file))
	case errors.Is(err, service.ErrRefused):
		a.hint("nothing was changed: the service goes on as before")
	}
	return errReported
}

func (a *app) reloadJSON(answer reloadAnswer, failed error) error {
	if failed != nil {
		answer.Error = failed.Error()
	}
	if err := a.answerJSON(answer); err != nil {
		return err
	}
	if failed != nil {
		return errReported
	}
	return nil
}

func (a *app) showChanges(c service.Changes, dryRun bool) {
	words := []string{"opened", "closed", "changed"}
	if dryRun {
		words = []string{"would open", "would close", "would change"}
	}
	for i, endpoints := range [][]service.Endpoint{c.Opened, c.Closed, c.Changed} {
		a.showEndpoints(words[i], endpoints)
	}
	a.showEndpoints("unchanged", c.Unchanged)
	a.showEndpoints("left out", c.LeftOut)
	if c.LogLevel != "" {
		fmt.Fprintf(a.stdout, "%-13s %s\n", "log level", quote.Text(c.LogLevel))
	}
	if len(c.AtRestart) > 0 {
		fmt.Fprintf(a.stdout, "%-13s %s\n", "at restart", quote.Text(strings.Join(c.AtRestart, ", ")))
	}
	if len(c.Opened)+len(c.Closed)+len(c.Changed)+len(c.LogLevel)+len(c.AtRestart) == 0 {
		fmt.Fprintln(a.stdout, "nothing has changed")
	}
}

func (a *app) showEndpoints(word string, endpoints []service.Endpoint) {
	for _, e := range endpoints {
		fmt.Fprintf(a.stdout, "%-13s %s, listen %s\n", word, quote.Text(e.Tunnel), quote.Text(e.Listen))
	}
}
