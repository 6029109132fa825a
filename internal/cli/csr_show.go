package cli

import (
	"github.com/spf13/cobra"

	"tlstunnel/pki/certfile"
)

func (a *app) csrShowCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:   "show FILE",
		Short: "Show what a certificate request asks for",
		Long: `Show what a certificate request (PEM or DER) asks for, whether it is signed with its
own key, and what ` + "`csr sign`" + ` wouldn't copy into a certificate.`,
		Example: "  tlstunnel csr show ./partner.csr\n  tlstunnel csr show ./partner.csr --json",
		Args:    oneArg,
		RunE: func(_ *cobra.Command, args []string) error {
			csr, err := certfile.ReadCSR(args[0])
			if err != nil {
				return err
			}
			if a.json {
				return a.answerJSON(certfile.DescribeCSR(csr))
			}
			return certfile.DescribeCSR(csr).WriteText(a.stdout)
		},
	})
}
