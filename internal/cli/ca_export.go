package cli

import (
	"encoding/pem"
	"fmt"

	"github.com/spf13/cobra"

	"tlstunnel/pki"
)

func (a *app) caExportCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the CA's certificate for the other side",
		Long: `Write the certificate of the program's own CA, for whoever shall trust it: ca.crt
(PEM) and ca.der (the same in DER, which some devices want). It is no secret, but it
must be the right one: compare the fingerprint by phone. Nothing is overwritten.`,
		Example: "  tlstunnel ca export --out /tmp\n  tlstunnel ca export --out - > clinic-ca.crt",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.caExport(out) },
	}
	cmd.Flags().StringVar(&out, "out", ".", "the `folder` for the files, or - for PEM on standard output")
	return cmd
}

func (a *app) caExport(out string) error {
	cas, err := a.ownCAs()
	if err != nil {
		return err
	}
	ca := cas[0]
	if out == "-" {
		fmt.Fprintf(a.stderr, "tlstunnel: fingerprint (SHA-256) %s\n", pki.Fingerprint(ca))
		return pem.Encode(a.stdout, &pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw})
	}
	files, err := pki.ExportCA(ca, out)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(a.stdout, "created %s\n", file)
	}
	if len(files) == 0 {
		fmt.Fprintf(a.stdout, "this certificate is in %q already: nothing to do\n", out)
	}
	fmt.Fprintf(a.stdout, "fingerprint (SHA-256) %s\n", pki.Fingerprint(ca))
	return nil
}
