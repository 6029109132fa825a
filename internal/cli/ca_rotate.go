package cli

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/quote"
	"tlstunnel/pki"
)

func (a *app) caRotateCommand() *cobra.Command {
	var finish, cancel bool
	cmd := &cobra.Command{
		Use:   "rotate",
		Short: "Replace the CA by a new one, in two stages",
		Long: `Make the next CA, before the current one ends, and print what the other side has to
do. From then on, clients that trust the current CA, the next one, or both accept this
machine's server certificate, and this machine accepts client certificates of both CAs.
When all clients trust the next CA, --finish makes it the current one. Client
certificates of the CA before are accepted until that CA expires, or until the next
--finish: only one CA before the current one counts.

Run again, it says where the rotation stands. No connection is cut.`,
		Example: "  tlstunnel ca rotate\n  tlstunnel ca rotate --finish",
		Args: func(cmd *cobra.Command, args []string) error {
			if finish && cancel {
				return errors.New("--finish and --cancel are opposites: give one of them")
			}
			return cobra.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.loadForCA()
			if err != nil {
				return err
			}
			switch {
			case finish:
				return a.endRotation(cmd.Context(), cfg, pki.FinishRotation)
			case cancel:
				return a.endRotation(cmd.Context(), cfg, pki.CancelRotation)
			}
			return a.beginRotation(cmd.Context(), cfg)
		},
	}
	cmd.Flags().BoolVar(&finish, "finish", false, "make the next CA the current one")
	cmd.Flags().BoolVar(&cancel, "cancel", false, "give up the next CA")
	return cmd
}

func (a *app) beginRotation(ctx context.Context, cfg *config.Config) error {
	store, err := ownpki.Rotate(ctx, cfg, pki.Rotate)
	if errors.Is(err, pki.ErrRotating) {
		fmt.Fprint(a.stdout, "A rotation is under way already.\n\n")
		store, err = pki.Open(cfg.PKI.Dir, time.Now())
		if err != nil {
			return err
		}
		a.showPlan(store)
		return nil
	}
	if err != nil {
		return err
	}
	a.showPlan(store)
	return a.refreshService(ctx, cfg.File)
}

func (a *app) showCA(which string, ca *x509.Certificate) {
	fmt.Fprintf(a.stdout, "%-12s %s\n  expires    %s\n  SHA-256    %s\n",
		which, quote.Text(ca.Subject.CommonName), date.Day(ca.NotAfter), dn.Fingerprint(ca))
}

func (a *app) showPlan(store *pki.Store) {
	a.showCA("current CA", store.CA)
	a.showCA("next CA", store.Next)
	fmt.Fprintf(a.stdout, `  file       %s

The plan:
1. Give next-ca.crt to everybody who has ca.crt of this machine. Have them compare
   the SHA-256 of the next CA by phone.
2. They add it beside the old one, and keep that: in tlstunnel
       ca = ["ca.crt", "next-ca.crt"]         (client_ca likewise)
   and in other programs both certificates in one file.
3. When all have done so, and before %s, run here
       tlstunnel ca rotate --finish
   From then on, a client that trusts only the old CA can't connect.
4. After that they may remove the old one.
`, pki.NextCACert(store.Dir), date.Day(store.CA.NotAfter))
	if old := store.Previous; old != nil && time.Now().Before(old.NotAfter) {
		fmt.Fprintf(a.stdout, `
Step 3 also ends the trust in the CA before the current one, which would go on
until %s: client certificates that it has signed are refused from then on.
Issue new ones before that; tlstunnel cert list has all that were ever issued.
  previous   %s
  SHA-256    %s
`, date.Day(old.NotAfter), quote.Text(old.Subject.CommonName), dn.Fingerprint(old))
	}
}

func (a *app) endRotation(ctx context.Context, cfg *config.Config, end ownpki.RotationStep) error {
	store, err := ownpki.Rotate(ctx, cfg, end)
	if errors.Is(err, pki.ErrNotRotating) {
		a.complain(err)
		a.hint("`tlstunnel ca rotate` begins one")
		return errReported
	}
	if err != nil {
		return err
	}
	a.showCA("current CA", store.CA)
	return a.refreshService(ctx, cfg.File)
}
