package cli

import "github.com/spf13/cobra"

func (a *app) caCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "ca",
		Short: "Look after the program's own CA",
	}, a.caShowCommand(), a.caExportCommand(), a.caTrustCommand(), a.caUntrustCommand(), a.caRotateCommand())
}
