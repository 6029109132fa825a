package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"tlstunnel/internal/bench"
)

func (a *app) benchCommand() *cobra.Command {
	duration := 20 * time.Second
	cmd := a.addJSON(&cobra.Command{
		Use:   "bench",
		Short: "Measure what a tunnel does on this machine",
		Long: `Start a tunnel in a throw-away folder and measure on loopback: how much it moves,
how many connections it takes a second, how long a message takes there and back,
and how much memory a waiting connection needs. It doesn't touch a running service,
but shares the machine with it.

The load, the tunnel and its target share the cores of this machine. A
tunnel that has them to itself does more.`,
		Example: `  tlstunnel bench
  tlstunnel bench --json >before.json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.bench(cmd.Context(), duration) },
	})
	cmd.Flags().DurationVar(&duration, "duration", duration, "how long it may take, from 1s to 10m")
	return cmd
}

func (a *app) bench(ctx context.Context, duration time.Duration) error {
	if duration < time.Second || duration > 10*time.Minute {
		return fmt.Errorf("--duration is %v: give it from 1s to 10m", duration)
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	// If one of these signals comes, bench.Run must still remove the folder with its keys and
	// stop the service.
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	if isInteractive(a.console) {
		fmt.Fprintf(a.stderr, "tlstunnel: measuring for %v...\n", duration)
	}
	report, err := bench.Run(ctx, program, duration)
	if ctx.Err() != nil {
		return errors.New("interrupted")
	}
	if err != nil {
		return fmt.Errorf("measuring: %w", err)
	}
	if a.json {
		return a.answerJSON(report)
	}
	return showBench(a.stdout, report)
}

// showBench draws a bar for each figure. Bars of the same measure have the same scale.
func showBench(w io.Writer, r *bench.Report) error {
	const width = 40
	longest := 0
	most := make(map[string]float64)
	for _, f := range r.Figures {
		longest = max(longest, utf8.RuneCountInString(f.Load))
		most[f.Measure] = max(most[f.Measure], f.Value)
	}
	_, err := fmt.Fprintf(w, "tlstunnel %s on %s/%s, %d cores; %s, %s, %s\n", r.Version, r.OS, r.Arch, r.Cores, r.TLS, r.Cipher, r.KeyExchange)
	last := ""
	for _, f := range r.Figures {
		if f.Measure != last {
			last = f.Measure
			fmt.Fprintf(w, "\n%s, %s\n", f.Measure, f.Unit)
		}
		bar := strings.Repeat("#", max(1, int(f.Value/most[f.Measure]*width+0.5)))
		_, err = fmt.Fprintf(w, "  %-*s  %-*s %.4g\n", longest, f.Load, width, bar, f.Value)
	}
	return err
}
