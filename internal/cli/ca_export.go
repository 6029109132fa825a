package cli

import (
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"tlstunnel/internal/dn"
	"tlstunnel/pki"
)

func (a *app) caExportCommand() *cobra.Command {
	var f issueFlags
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the CA's certificate for the other side",
		Long: `Write the certificate of the program's own CA, for those that shall trust it: ca.crt
(PEM) and ca.der (the same in DER, which some devices want). It is no secret, but it
must be the right one: compare the fingerprint by phone. Nothing is overwritten.

With --p12 it also writes ca.p12 (PKCS#12), a trust store for Java, which takes no PEM.
While a rotation is under way, ca.p12 has the next CA, too. Its password keeps others
from changing it. The command asks for the password, makes it, or reads it from a file.`,
		Example: "  tlstunnel ca export --out /tmp\n  tlstunnel ca export --out - > clinic-ca.crt\n  tlstunnel ca export --p12 --generate-password",
		Args: func(cmd *cobra.Command, args []string) error {
			if f.p12 && f.out == "-" {
				return errors.New("--p12 writes a file: name a folder with --out")
			}
			return errors.Join(cobra.NoArgs(cmd, args), f.checkPassword("ca.p12"))
		},
		RunE: func(*cobra.Command, []string) error { return a.caExport(f) },
	}
	cmd.Flags().StringVar(&f.out, "out", ".", "the `folder` for the files, or - for PEM on standard output")
	f.addPassword(cmd.Flags(), "ca.p12")
	return cmd
}

func (a *app) caExport(f issueFlags) error {
	cas, err := a.ownCAs()
	if err != nil {
		return err
	}
	ca, out := cas[0], f.out
	if out == "-" {
		fmt.Fprintf(a.stderr, "tlstunnel: fingerprint (SHA-256) %s\n", dn.Fingerprint(ca))
		return pem.Encode(a.stdout, &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	}
	var trustStore []byte
	if f.p12 {
		if f.password, err = a.newPassword(f); err != nil {
			return err
		}
		if trustStore, err = (pki.PKCS12{Password: f.password, Legacy: f.legacy}).TrustStore(cas); err != nil {
			return err
		}
	}
	files, err := pki.ExportCA(ca, trustStore, out)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(a.stdout, "created %s\n", file)
	}
	a.showGenerated(f, "ca.p12")
	if len(files) == 0 {
		fmt.Fprintf(a.stdout, "this certificate is in %q already: nothing to do\n", out)
	}
	fmt.Fprintf(a.stdout, "fingerprint (SHA-256) %s\n", dn.Fingerprint(ca))
	return nil
}
