package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/access"
	"tlstunnel/internal/config"
	"tlstunnel/internal/osservice"
	"tlstunnel/internal/quote"
	"tlstunnel/service"
)

// askTimeout is how long a command waits for an answer of the running service.
const askTimeout = 10 * time.Second

func (a *app) startCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "start",
		Short: "Start the installed service",
		Long: `Start the installed service, and wait until it really runs. If it doesn't, say
why.`,
		Example: "  tlstunnel start",
		Args:    cobra.NoArgs,
		RunE: a.managed(func(ctx context.Context, m *osservice.Manager) error {
			if state, err := m.State(); err == nil && state == osservice.Running {
				fmt.Fprintln(a.stdout, "the service is running already")
				return nil
			}
			return a.started(ctx, m, m.Start(ctx))
		}),
	}
}

func (a *app) stopCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "stop",
		Short: "Stop the installed service",
		Long: `Stop the installed service, and wait until it has stopped: connections have
shutdown_grace to end by themselves. It starts again with the machine.`,
		Example: "  tlstunnel stop",
		Args:    cobra.NoArgs,
		RunE: a.managed(func(ctx context.Context, m *osservice.Manager) error {
			if err := m.Stop(ctx); err != nil {
				return err
			}
			fmt.Fprintln(a.stdout, "the service has stopped")
			return nil
		}),
	}
}

func (a *app) restartCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "restart",
		Short: "Stop the installed service and start it again",
		Long: `Stop the installed service and start it again. First it looks, as the service's
account, whether the new start would fail or leave out a tunnel that runs now. If so,
it leaves the service as it is. Most changes need no restart, which cuts
connections: see ` + "`tlstunnel reload`" + `.`,
		Example: "  tlstunnel restart",
		Args:    cobra.NoArgs,
		RunE: a.managed(func(ctx context.Context, m *osservice.Manager) error {
			if err := a.restartMistakes(ctx, m); err != nil {
				return fmt.Errorf("%w\nthe service is left as it is", err)
			}
			return a.started(ctx, m, m.Restart(ctx))
		}),
	}
}

// managed returns a command that manages the service.
func (a *app) managed(do func(context.Context, *osservice.Manager) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, _ []string) error {
		ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt)
		defer stop()
		file, err := a.serviceConfig()
		if err != nil {
			return err
		}
		m := &osservice.Manager{Config: file, Mistakes: a.configMistakes}
		if err := m.Rights(); err != nil {
			return err
		}
		err = do(ctx, m)
		if errors.Is(err, osservice.ErrNotInstalled) {
			a.complain(err)
			a.hint("`tlstunnel install` installs it; `tlstunnel run` serves without")
			return errReported
		}
		return err
	}
}

// started reports how a start went.
func (a *app) started(ctx context.Context, m *osservice.Manager, err error) error {
	var failed *osservice.StartError
	switch {
	case err == nil:
		return a.showRunning(ctx, m.Config)
	case !errors.As(err, &failed):
		return err
	case failed.Reason == "":
		// The service left no reason. Make its checks here: they may find the reason.
		if mistakes := a.configMistakes(m.Config); mistakes != nil {
			err = mistakes
		}
	}
	a.complain(err)
	a.hint("the service doesn't run; `tlstunnel check` finds what is wrong with the config, `tlstunnel paths` says where the log is")
	return errReported
}

// showRunning says that the service runs, and which tunnels it has left out.
func (a *app) showRunning(ctx context.Context, configFile string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, err := service.AskStatus(ctx, configFile)
	if err != nil {
		fmt.Fprintln(a.stdout, "the service is running")
		return nil
	}
	fmt.Fprintf(a.stdout, "the service is running, tunnels: %d\n", len(st.Tunnels))
	out := st.LeftOut()
	for _, t := range out {
		a.complain(fmt.Errorf("tunnel %q is left out: %s", t.Name, quote.Text(t.LeftOut.Reason)))
	}
	if len(out) == 0 {
		return nil
	}
	a.hint("the service keeps trying, you don't need to start it again; `tlstunnel status` shows the result")
	return errReported
}

// restartMistakes returns the mistakes because of which a tunnel that runs now would be left out
// after a restart.
func (a *app) restartMistakes(ctx context.Context, m *osservice.Manager) error {
	if state, err := m.State(); err == nil && state != osservice.Running {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st, _ := service.AskStatus(ctx, m.Config) // on an error all tunnels count as running
	cfg, problems, err := loadFile(m.Config)
	if err != nil {
		return err
	}
	for _, p := range access.Check(cfg, time.Now()) {
		if !slices.ContainsFunc(st.LeftOut(), func(t service.TunnelStatus) bool { return t.Name == p.Tunnel }) {
			problems = append(problems, p)
		}
	}
	return problems.Err()
}

// configMistakes returns an error with a line for each mistake in the config and in the files that
// it names.
func (a *app) configMistakes(file string) error {
	cfg, problems, err := loadFile(file)
	if err != nil {
		return err
	}
	return append(problems, access.Check(cfg, time.Now())...).Err()
}

// serviceConfig returns the config of the service that a command works on: the one that the user
// names, otherwise the user's own if it exists, otherwise that of the installed service.
func (a *app) serviceConfig() (string, error) {
	if _, err := os.Stat(a.configFile); !a.configGiven && err != nil {
		return config.SystemConfig(), nil
	}
	return filepath.Abs(a.configFile)
}
