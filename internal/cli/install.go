package cli

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"

	"tlstunnel/installer"
	"tlstunnel/internal/config"
	"tlstunnel/internal/osservice"
)

func (a *app) installCommand() *cobra.Command {
	var dryRun bool
	cmd := &cobra.Command{
		Use:   "install",
		Short: "Install tlstunnel as a service of this machine",
		Long: `Install tlstunnel as a service of this machine: an account of its own, folders, a
first config, the CA and certificate, and the registration with the service
manager. It keeps what is there already. If a step fails, it takes back those before
it. From then on the service starts with the machine, and at once by
` + "`tlstunnel start`" + `.`,
		Example: "  tlstunnel install --dry-run\n  tlstunnel install",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.installation(cmd.Context(), dryRun, a.install)
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	return cmd
}

func (a *app) uninstallCommand() *cobra.Command {
	var dryRun, purge bool
	cmd := &cobra.Command{
		Use:   "uninstall",
		Short: "Stop the service and remove it from this machine",
		Long: `Stop the service and remove it from this machine. Config, keys and logs stay for
another installation. --purge removes them too, and everything else that the
installation has made. There is no way back from that: without its CA key, every
client needs a new ca.crt.`,
		Example: "  tlstunnel uninstall --dry-run\n  tlstunnel uninstall",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.installation(cmd.Context(), dryRun, func(ctx context.Context, o installer.Options, dryRun bool) error {
				o.Purge = purge
				return a.uninstall(ctx, o, dryRun)
			})
		},
	}
	cmd.Flags().BoolVar(&dryRun, "dry-run", false, "only say what would be done")
	cmd.Flags().BoolVar(&purge, "purge", false, "remove config, CA, keys, logs, account and program too")
	return cmd
}

// installation is what install and uninstall have in common.
func (a *app) installation(ctx context.Context, dryRun bool, do func(context.Context, installer.Options, bool) error) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	defer stop()
	if !dryRun {
		if err := new(osservice.Manager).Rights(); err != nil {
			return err
		}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	o := installer.Options{Program: program, Config: config.SystemConfig(), Example: a.example}
	if a.configGiven {
		if o.Config, err = filepath.Abs(a.configFile); err != nil {
			return err
		}
	}
	return do(ctx, o, dryRun)
}

func (a *app) install(ctx context.Context, o installer.Options, dryRun bool) error {
	steps, err := installer.InstallSteps(ctx, o)
	if err != nil {
		return err
	}
	if err := installer.Apply(steps, dryRun, a.showStep); err != nil || dryRun {
		return err
	}
	next := "start"
	if state, err := new(osservice.Manager).State(); err == nil && state == osservice.Running {
		next = "restart"
	}
	fmt.Fprintf(a.stdout, `
The service is installed and starts with this machine. Now put your tunnels into
%s, then:

`, o.Config)
	a.showCommands("check", next)
	return nil
}

func (a *app) uninstall(ctx context.Context, o installer.Options, dryRun bool) error {
	steps, err := installer.UninstallSteps(ctx, o)
	if err != nil {
		return err
	}
	kept := installer.Kept(o) // before Apply, since it reads the config
	if err := installer.Apply(steps, dryRun, a.showStep); err != nil || o.Purge {
		return err
	}
	for _, path := range kept {
		fmt.Fprintf(a.stdout, "%-9s %s\n", "kept", path)
	}
	a.hint("`tlstunnel uninstall --purge` removes these too")
	return nil
}

// showStep shows the state of a step. The program shows the error of a failed step when it ends.
func (a *app) showStep(name string, state installer.State, err error) {
	fmt.Fprintf(a.stdout, "%-9s %s\n", state, name)
	if state == installer.Warning {
		a.complain(fmt.Errorf("warning: %w", err))
	}
}
