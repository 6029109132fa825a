package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/control"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
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

The key stays the same, and so do the pins that others have, unless --new-key asks for
another key. The certificates of the old key stay valid until they are revoked.`,
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
	if err := certfile.Describe(store.Server.Leaf, time.Now()).WriteText(a.stdout); err != nil {
		return err
	}
	if newKey {
		if err := a.hintAtFormer(store); err != nil {
			return err
		}
	}
	return a.refreshService(ctx, cfg.File)
}

// hintAtFormer says what a stolen key is still good for: as a client's, it is refused only
// while it is the server's own.
func (a *app) hintAtFormer(store *pki.Store) error {
	former, err := store.FormerServers(time.Now())
	if err != nil {
		return err
	}
	var serials []string
	for _, cert := range former {
		serials = append(serials, cert.Serial)
	}
	if len(serials) > 0 {
		a.hint("certificates of the old key stay valid, for a server and for a client: if somebody else may have that key, revoke each with `tlstunnel cert revoke SERIAL`: " + strings.Join(serials, ", "))
	}
	return nil
}

// refreshService makes a running service use the files that have changed.
func (a *app) refreshService(ctx context.Context, file string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch err := service.AskRefresh(ctx, file); {
	case errors.Is(err, control.ErrNotRunning):
		return nil
	case err != nil:
		return fmt.Errorf("the files are made, but the service doesn't use them yet: %w", err)
	}
	fmt.Fprintln(a.stdout, "the service uses it")
	return nil
}
