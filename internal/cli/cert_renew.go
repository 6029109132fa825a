package cli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/pki"
	"tlstunnel/service"
)

func (a *app) certRenewCommand() *cobra.Command {
	var newKey bool
	cmd := &cobra.Command{
		Use:   "renew",
		Short: "Renew the server certificate now",
		Long: `Give this machine a new server certificate from its own CA now, and have the
running service use it. No connection is cut. A running service does so by itself
at two thirds of the certificate's life, and when the machine's name or addresses
or [pki] names change.

The key stays the same, and with it what others have pinned, unless --new-key asks
for another.`,
		Example: "  tlstunnel cert renew\n  tlstunnel cert renew --new-key",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.certRenew(cmd.Context(), newKey) },
	}
	cmd.Flags().BoolVar(&newKey, "new-key", false, "make a new key, too: pins of the old one end")
	return cmd
}

func (a *app) certRenew(ctx context.Context, newKey bool) error {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return err
	}
	store, err := service.RenewPKI(ctx, cfg, pki.RenewOptions{Force: true, NewKey: newKey})
	if err != nil {
		return err
	}
	if err := pki.Describe(store.Server.Leaf, time.Now()).WriteText(a.stdout); err != nil {
		return err
	}
	return a.refreshService(ctx, cfg.File)
}

// refreshService makes a running service use the files that have changed.
func (a *app) refreshService(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch err := service.AskRefresh(ctx, file); {
	case errors.Is(err, service.ErrNotRunning):
		return nil
	case err != nil:
		return fmt.Errorf("the files are made, but the service doesn't use them yet: %w", err)
	}
	fmt.Fprintln(a.stdout, "the service uses it")
	return nil
}
