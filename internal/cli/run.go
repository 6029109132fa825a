package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/service"
)

func (a *app) runCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "run",
		Short: "Serve the tunnels in the foreground",
		Long: `Serve the tunnels of the config in the foreground, until Ctrl-C or SIGTERM. The
first run makes the CA and the server certificate. Log lines go to the log file,
and to stderr when that is a terminal.`,
		Example: "  tlstunnel run --config ./config.toml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.run(cmd.Context()) },
	}
}

func (a *app) run(ctx context.Context) error {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	cfg, problems, err := a.loadConfig()
	if cfg == nil {
		// Its defaults say where the log is, which must tell why we didn't start.
		cfg, _ = config.Parse(a.configFile, nil)
	}
	log, closeLog := service.OpenLog(cfg.Log, a.stderr, isInteractive(a.stderr))
	defer closeLog()
	for _, p := range problems {
		if p.Warning {
			log.Warn(p.String())
		}
	}
	if err == nil {
		err = service.Run(ctx, cfg, log)
	}
	if err != nil {
		log.Error("tlstunnel can't run", "err", err)
	}
	return err
}
