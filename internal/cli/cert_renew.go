package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/control"
	"tlstunnel/internal/ownpki"
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
another key. Then the command also revokes the certificates of the old key: this machine
refuses a copy of that key, and so do machines that have the new ca.crl.`,
		Example: "  tlstunnel cert renew\n  tlstunnel cert renew --new-key",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.certRenew(cmd.Context(), newKey) },
	}
	cmd.Flags().BoolVar(&newKey, "new-key", false, "make a new key, too: pins of the old one end")
	return cmd
}

func (a *app) certRenew(ctx context.Context, newKey bool) error {
	cfg, err := a.loadForCA()
	if err != nil {
		return err
	}
	store, err := ownpki.Renew(ctx, cfg, pki.RenewOptions{Force: true, NewKey: newKey})
	if err != nil {
		return err
	}
	if err := certfile.Describe(store.Server.Leaf, time.Now()).WriteText(a.stdout); err != nil {
		return err
	}
	var failed error
	if newKey {
		failed = a.revokeFormer(ctx, cfg.PKI.Dir)
	}
	return errors.Join(failed, a.refreshService(ctx, cfg.File))
}

// revokeFormer revokes the server's earlier certificates, so that peers refuse the old key.
func (a *app) revokeFormer(ctx context.Context, dir string) error {
	revoked, doubtful, err := pki.RevokeFormerServers(ctx, dir, time.Now())
	for _, cert := range revoked {
		fmt.Fprintf(a.stdout, "revoked %s of the old key\n", cert.Serial)
	}
	if len(doubtful) > 0 {
		var serials []string
		for _, cert := range doubtful {
			serials = append(serials, cert.Serial)
		}
		a.hint("these certificates are called server, and may be of the old key or of somebody else: revoke those of the old key with `tlstunnel cert revoke SERIAL`: " + strings.Join(serials, ", "))
	}
	switch {
	case errors.Is(err, pki.ErrNotOnCRL):
		return fmt.Errorf("%w: other machines accept the old key until a running service, or `tlstunnel cert revoke SERIAL`, has put its certificates on the CRL and they have the new ca.crl", err)
	case err != nil:
		return fmt.Errorf("the key is a new one, but not all certificates of the old key are revoked: %w: `tlstunnel cert list` shows them, and `tlstunnel cert revoke SERIAL` revokes each", err)
	case len(revoked) > 0:
		a.hint(fmt.Sprintf("copy the new %q to the machines that verify this certificate: without it they accept the old key", pki.OwnCRL(dir)))
	}
	return nil
}

// refreshService makes a running service read the files again.
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
