package cli

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/internal/logging"
	"tlstunnel/internal/tuning"
	"tlstunnel/service"
)

func (a *app) runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Serve the tunnels in the foreground",
		Long: `Serve the tunnels of the config in the foreground, until Ctrl-C or SIGTERM. The
first run makes the CA and the server certificate. Log lines go to the log file,
and to stderr if that is a terminal.`,
		Example: "  tlstunnel run --config ./config.toml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.runForeground(cmd.Context()) },
	}
	a.addServiceMode(cmd)
	return cmd
}

// runForeground runs until a signal. A Windows service doesn't use it: there Go reports it as
// SIGTERM if any user logs off.
func (a *app) runForeground(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// Ignore SIGPIPE, so that the tunnels go on if the program that reads our stderr ends.
	signal.Ignore(syscall.SIGPIPE)
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)
	return a.run(ctx, service.Host{}, a.console, nil)
}

// run serves until ctx is done. The lines of the service itself go to events too, if that
// isn't nil.
func (a *app) run(ctx context.Context, host service.Host, console io.Writer, events slog.Handler) error {
	tuning.Apply()
	cfg, problems, err := a.loadConfig()
	if cfg == nil {
		// Use the log of the defaults: it must say why we didn't start.
		cfg, _ = config.Parse(a.configFile, nil)
	}
	host.Log = new(logging.Control)
	log, closeLog := logging.Open(cfg.Log, host.Log, console, isInteractive(console), service.Messages)
	defer closeLog()
	if events != nil {
		log = slog.New(slog.NewMultiHandler(log.Handler(), events))
	}
	service.LogWarnings(log, problems)
	if err == nil {
		err = service.Run(ctx, cfg, log, host)
	}
	if err != nil {
		log.Error(logging.FatalMessage, "err", err)
	}
	return err
}
