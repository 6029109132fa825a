package cli

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/access"
	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/osservice"
	"tlstunnel/internal/quote"
	"tlstunnel/service"
)

func (a *app) statusCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:   "status",
		Short: "Show the state and the health of the service",
		Long: `Show the state and the health of the service. The service itself answers; if it
can't, the answer is from the service manager, the config and the certificates.

The exit code is

  0  ok
  1  degraded: it serves, but a tunnel is left out, a target is down, connections
     fail one after the other, a reload was or would be refused, a renewal fails,
     the log file can't be written, or a certificate has expired or does so within
     7 days
  3  down: it doesn't run, or no tunnel listens
  4  unknown: the service couldn't be asked, without the rights for example

The table counts the connections since the start: those that are ACTIVE, those that were
relayed and have FINISHED, interrupted ones too, and those that FAILED before anything
could be relayed.

Failures that any stranger on the network can cause are shown, but don't change the
exit code.`,
		Example: "  tlstunnel status",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	})
}

// exitCodes are the exit codes of `status`, for monitoring.
var exitCodes = map[service.Verdict]int{service.OK: 0, service.Degraded: 1, service.Down: 3, service.Unknown: 4}

// managerState is the state of the installed service in the words of its status.
func managerState() (string, error) {
	state, err := new(osservice.Manager).State()
	return string(state), err
}

func (a *app) status(ctx context.Context) error {
	file, err := a.serviceConfig()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	st := service.Examine(ctx, file, service.Fallback{State: managerState, Check: access.Check})
	if a.json {
		err = a.answerJSON(st)
	} else {
		err = a.showStatus(&st)
	}
	if err != nil {
		return err
	}
	code, ok := exitCodes[st.Verdict]
	switch {
	case !ok: // the verdict of a service of another version
		return exitError(exitCodes[service.Unknown])
	case code != 0:
		return exitError(code)
	}
	return nil
}

func (a *app) showStatus(s *service.Status) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "verdict\t%s\n", s.Verdict)
	state := s.State
	if !s.Started.IsZero() {
		state += fmt.Sprintf(" since %s (%s), version %s, process %d", date.Time(s.Started),
			time.Since(s.Started).Round(time.Second), quote.Text(s.Version), s.PID)
	}
	fmt.Fprintf(w, "state\t%s\n", state)
	fmt.Fprintf(w, "config\t%s\n", quote.Text(s.Config))
	if s.Log != "" {
		fmt.Fprintf(w, "log\t%s\n", logText(s.Log))
	}
	if s.Source == service.SourceService {
		fmt.Fprintf(w, "last reload\t%s\n", reloadText(s.LastReload))
		if s.Renewal != nil && !s.Renewal.Due.IsZero() {
			fmt.Fprintf(w, "next renewal\t%s\n", date.Time(s.Renewal.Due))
		}
		fmt.Fprintf(w, "memory\t%d MiB\n", s.Memory>>20)
		fmt.Fprintf(w, "source\tthe service itself\n")
	} else {
		fmt.Fprintf(w, "source\tthe service manager, the config and the certificates; the service doesn't answer\n")
	}
	if s.CA != nil {
		fmt.Fprintf(w, "CA expires\t%s\n", date.Time(s.CA.Expires))
	}
	if s.CA != nil && s.CA.Next != "" {
		fmt.Fprintf(w, "next CA\t%s, `tlstunnel ca rotate` says what to do\n", quote.Text(s.CA.Next))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if len(s.Tunnels) > 0 {
		fmt.Fprintln(a.stdout)
		a.showTunnels(s)
	}
	if failures := s.LastFailures(); len(failures) > 0 {
		fmt.Fprintln(a.stdout)
		for _, text := range failures {
			fmt.Fprintf(a.stdout, "last failure: %s\n", quote.Text(text))
		}
	}
	if len(s.Notes)+len(s.Problems) > 0 {
		fmt.Fprintln(a.stdout)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(a.stdout, "problem: %s\n", strings.ReplaceAll(p, "\n", "\n  "))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(a.stdout, "note: %s\n", quote.Text(n))
	}
	return nil
}

func logText(file string) string {
	if file == config.Console {
		return "no file, the lines go to stderr"
	}
	return quote.Text(file)
}

func reloadText(r *service.ReloadResult) string {
	switch {
	case r == nil:
		return "none since the start"
	case r.Error != "":
		return date.Time(r.Time) + ", refused"
	default:
		return date.Time(r.Time) + ", done"
	}
}

func (a *app) showTunnels(s *service.Status) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TUNNEL\tMODE\tLISTEN\tTARGET\tACTIVE\tFINISHED\tFAILED\tCERTIFICATE EXPIRES")
	for _, t := range s.Tunnels {
		active, finished, failed, listen := "-", "-", "-", t.Listen
		if t.LeftOut != nil {
			listen += " (left out)"
		} else if s.Source == service.SourceService {
			active, finished = fmt.Sprint(t.Active), fmt.Sprint(t.Completed+t.Interrupted)
			failed = fmt.Sprint(t.Refused + t.HandshakeFailed + t.TargetFailed)
		}
		expires := "-"
		if !t.Expires.IsZero() {
			expires = expiryText(t.Expires, time.Now())
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", quote.Text(t.Name), quote.Text(t.Mode), quote.Text(listen), quote.Text(targetsText(t)), active, finished, failed, expires)
	}
	w.Flush()
}

// expiryText is the day on which a certificate expires, and how far that is from now.
func expiryText(expires, now time.Time) string {
	if left := expires.Sub(now); left > 0 {
		return fmt.Sprintf("%s (%d days)", date.Day(expires), left/(24*time.Hour))
	}
	return date.Day(expires) + " (expired)"
}

// targetsText lists the targets, and says which of them are down.
func targetsText(t service.TunnelStatus) string {
	down := map[string]bool{}
	for _, state := range t.Targets {
		down[state.Address] = !state.DownSince.IsZero()
	}
	var all []string
	for _, address := range t.Target {
		if down[address] {
			address += " (down)"
		}
		all = append(all, address)
	}
	return strings.Join(all, ", ")
}
