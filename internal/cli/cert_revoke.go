package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/control"
	"tlstunnel/internal/date"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
	"tlstunnel/service"
)

func (a *app) certRevokeCommand() *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "revoke NAME|SERIAL",
		Short: "Revoke a certificate that the CA has issued",
		Long: `Put a certificate that the program's own CA has issued on the CA's revocation list
(CRL), ca.crl in the PKI folder, and have the running service apply it at once: its
tunnels that trust the CA refuse the certificate and cut its connections. It can't
be taken back. Other machines that verify the certificate need the new ca.crl. If that
can't be written, on a full disk for example, the command fails, but the tunnels of this
machine refuse the certificate; run it again to complete it.`,
		Example: "  tlstunnel cert revoke modality-7 --reason keyCompromise\n  tlstunnel cert revoke 0f3c9a5e21b7d4486a90c1e2f3b4a5d6",
		Args:    oneArg,
		RunE:    func(cmd *cobra.Command, args []string) error { return a.certRevoke(cmd.Context(), args[0], reason) },
	}
	cmd.Flags().StringVar(&reason, "reason", "unspecified", "the `reason`: "+strings.Join(certfile.Reasons(), ", "))
	return cmd
}

func (a *app) certRevoke(ctx context.Context, nameOrSerial, reason string) error {
	cfg, err := a.loadForCA()
	if err != nil {
		return err
	}
	revoked, failed := revoke(ctx, cfg.PKI.Dir, nameOrSerial, reason)
	switch {
	case failed != nil && !errors.Is(failed, pki.ErrNotOnCRL):
		return failed
	case revoked.Revoked.IsZero():
		fmt.Fprintf(a.stdout, "revoked %s of %q: %s\n", revoked.Serial, revoked.Name, reason)
	default:
		fmt.Fprintf(a.stdout, "%s of %q was revoked already, on %s: %s\n", revoked.Serial, revoked.Name, date.Time(revoked.Revoked), revoked.Reason)
	}
	if store, err := pki.Open(cfg.PKI.Dir, time.Now()); err == nil && pki.SerialText(store.Server.Leaf) == revoked.Serial {
		a.hint("that is the server's own certificate: `tlstunnel cert renew --new-key` makes another")
	}
	err = a.applyRevocation(ctx, cfg.File)
	if failed != nil {
		failed = fmt.Errorf("%w: other machines accept it until the same command succeeds and they have the new ca.crl; a running service tries it too", failed)
	}
	return errors.Join(failed, err)
}

// applyRevocation makes a running service refuse revoked certificates, also those that aren't on
// the CRL yet.
func (a *app) applyRevocation(ctx context.Context, configFile string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	switch err := service.AskRefresh(ctx, configFile); {
	case errors.Is(err, control.ErrNotRunning):
		fmt.Fprintln(a.stdout, "the service isn't running: it applies this when it starts")
		return nil
	case err != nil:
		return fmt.Errorf("it is revoked, but the service may not have applied that: %w", err)
	}
	fmt.Fprintln(a.stdout, "the service applies it")
	return nil
}

// revoke revokes a certificate. It is a function of its own, so that the CA is closed before the
// command does anything else.
func revoke(ctx context.Context, dir, nameOrSerial, reason string) (pki.Issued, error) {
	authority, err := pki.OpenAuthority(ctx, dir, time.Now())
	if err != nil {
		return pki.Issued{}, err
	}
	defer authority.Close()
	found, err := authority.Find(nameOrSerial)
	if err != nil {
		return pki.Issued{}, err
	}
	return found, authority.Revoke(found, reason)
}
