package cli

import (
	"github.com/spf13/cobra"

	"tlstunnel/service"
)

// addServiceMode adds the flag that is in the registered command line of the
// service. A flag, since Windows offers no sure way to find out.
func (a *app) addServiceMode(cmd *cobra.Command) {
	asService := cmd.Flags().Bool("as-service", false, "serve for the service control manager")
	_ = cmd.Flags().MarkHidden("as-service")
	foreground := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *asService {
			return service.RunAsService(a.run)
		}
		return foreground(cmd, args)
	}
}
