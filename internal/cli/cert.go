package cli

import "github.com/spf13/cobra"

func (a *app) certCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "cert",
		Short: "Show, issue, renew and revoke certificates",
	}, a.certShowCommand(), a.certListCommand(), a.certIssueCommand(), a.certInstallCommand(), a.certRenewCommand(), a.certRevokeCommand())
}
