package cli

import (
	"crypto/x509"
	"errors"
	"io/fs"

	"github.com/spf13/cobra"

	"tlstunnel/installer"
	"tlstunnel/internal/osservice"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

func (a *app) caTrustCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "trust",
		Short: "Make this machine's programs trust the CA",
		Long: `Put the program's own CA into this machine's store of trusted CAs, for browsers
and other programs here that shall trust its certificates, and check that it is
there. Tunnels don't need that. Every program that uses the store then trusts the
CA for any name: somebody who has ca.key can pose as any site to them. If an earlier
` + "`ca trust`" + ` put another CA there, the command takes that one out.`,
		Example: "  tlstunnel ca trust --dry-run\n  tlstunnel ca trust",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cas, err := a.ownCAs()
			if err != nil {
				return err
			}
			return a.changeTrust(installer.TrustSteps, cas, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func (a *app) caUntrustCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "untrust",
		Short: "Take back what `ca trust` did",
		Long: `Take out of this machine's store of trusted CAs what ` + "`ca trust`" + ` put there, also
when the CA has changed since or is gone, and check that it isn't there any more.
What somebody else put there stays.`,
		Example: "  tlstunnel ca untrust --dry-run\n  tlstunnel ca untrust",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cas, err := a.ownCAs()
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return a.changeTrust(installer.UntrustSteps, cas, dryRun)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func (a *app) changeTrust(steps func([]*x509.Certificate) ([]installer.Step, error), cas []*x509.Certificate, dryRun bool) error {
	todo, err := steps(cas)
	if err != nil {
		return err
	}
	if !dryRun {
		if err := new(osservice.Manager).Rights(); err != nil {
			return err
		}
	}
	return installer.Apply(todo, dryRun, a.showStep)
}

// ownCAs reads the certificate of our own CA and, during a rotation, the certificate of the next
// CA. It reads no key. It leaves out the former CA, which has no server certificates any more.
func (a *app) ownCAs() ([]*x509.Certificate, error) {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return nil, err
	}
	cas, err := certfile.LoadCertificates(pki.CACert(cfg.PKI.Dir))
	if err != nil {
		return nil, adviseRoot(err)
	}
	next, err := certfile.LoadCertificates(pki.NextCACert(cfg.PKI.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return append(cas, next...), err
}

// adviseRoot adds to an error about missing rights how to get them.
func adviseRoot(err error) error {
	if errors.Is(err, fs.ErrPermission) {
		return errors.Join(err, new(osservice.Manager).Rights())
	}
	return err
}
