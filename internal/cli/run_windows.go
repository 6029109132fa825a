package cli

import (
	"context"

	"github.com/spf13/cobra"

	"tlstunnel/internal/logging"
	"tlstunnel/internal/osservice"
	"tlstunnel/service"
)

// addServiceMode adds the flag --as-service, which is in the registered command line of the service.
// It needs a flag, since Windows has no sure way to find out whether a process is a service.
func (a *app) addServiceMode(cmd *cobra.Command) {
	asService := cmd.Flags().Bool("as-service", false, "serve for the service control manager")
	_ = cmd.Flags().MarkHidden("as-service")
	foreground := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if *asService {
			return osservice.RunAsService(a.runService)
		}
		return foreground(cmd, args)
	}
}

// runService serves and logs to the Event Log, if that can be opened. A service has no stderr.
func (a *app) runService(ctx context.Context, ready func(), reload <-chan string) error {
	host := service.Host{Ready: ready, Reload: reload}
	events, err := logging.OpenEventLog(osservice.Name, service.Messages)
	if err != nil {
		return a.run(ctx, host, a.console, nil)
	}
	defer events.Close()
	return a.run(ctx, host, events.Console, events)
}
