package cli

import "github.com/spf13/cobra"

func (a *app) csrCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "csr",
		Short: "Make, show and sign certificate requests",
	}, a.csrNewCommand(), a.csrShowCommand(), a.csrSignCommand())
}
