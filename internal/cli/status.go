package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/internal/quote"
	"tlstunnel/service"
)

// unhealthyBefore is how long before the end of a certificate the service counts
// as ill.
const unhealthyBefore = 7 * 24 * time.Hour

func (a *app) statusCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:   "status",
		Short: "Show how the service does",
		Long: `Show how the service does: as it says itself if it answers, otherwise by the
service manager, the config and the certificates.

The exit code is 0 if all is well, and 1 if the service isn't running, has refused
the last reload, would refuse the config as it is now, or has a certificate that
has expired or does so within 7 days.`,
		Example: "  tlstunnel status",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.status(cmd.Context()) },
	})
}

// Where the answer of status comes from.
const (
	sourceService = "service" // it has answered itself
	sourceSystem  = "system"  // the service manager, the config and the certificates
)

// stateUnknown is when neither the service nor a service manager says anything.
const stateUnknown service.State = "unknown"

// statusAnswer is what status says in JSON.
type statusAnswer struct {
	Healthy  bool          `json:"healthy"`
	Problems []string      `json:"problems"` // why it isn't
	Source   string        `json:"source"`
	State    service.State `json:"state"`
	service.Status

	notes []string // worth knowing, but no problem
}

func (s *statusAnswer) problem(format string, args ...any) {
	s.Problems = append(s.Problems, fmt.Sprintf(format, args...))
}

func (a *app) status(ctx context.Context) error {
	file, err := a.serviceConfig()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	s := &statusAnswer{Problems: []string{}}
	s.Status, err = service.AskStatus(ctx, file)
	if err == nil {
		s.byService(ctx, file)
	} else {
		s.bySystem(file, err)
	}
	s.checkExpiry(time.Now())
	s.Healthy = len(s.Problems) == 0
	if a.json {
		err = a.answerJSON(s)
	} else {
		err = a.showStatus(s)
	}
	if err == nil && !s.Healthy {
		return errReported
	}
	return err
}

// byService completes what the service has answered.
func (s *statusAnswer) byService(ctx context.Context, file string) {
	s.Source, s.State = sourceService, service.Running
	refused := ""
	if s.LastReload != nil {
		refused = s.LastReload.Error
	}
	if refused != "" {
		s.problem("the last reload was refused, the service goes on with the config before it: %s", refused)
	}
	if s.Renewal != nil && s.Renewal.Error != "" {
		s.problem("the renewal of the server certificate failed, and is tried again on %s: %s", s.Renewal.Retry.Local().Format(time.DateTime), s.Renewal.Error)
	}
	if s.CRLError != "" {
		s.problem("%s", s.CRLError)
	}
	c, err := service.AskReload(ctx, file, true)
	switch {
	case err == nil && len(c.Opened)+len(c.Closed)+len(c.Changed) > 0:
		s.notes = append(s.notes, "the config has changed since: `tlstunnel reload` applies it, `tlstunnel reload --dry-run` says what it would do")
	case errors.Is(err, service.ErrRefused) && err.Error() != refused:
		s.problem("the service would refuse the config as it is now: %s", err)
	case err != nil && !errors.Is(err, service.ErrRefused):
		s.notes = append(s.notes, "the service didn't say whether it takes the config as it is now: "+err.Error())
	}
}

// bySystem finds out what can be known of a service that doesn't answer, and
// says why it doesn't.
func (s *statusAnswer) bySystem(file string, silent error) {
	s.Source, s.Status = sourceSystem, service.Status{Config: file, Tunnels: []service.TunnelStatus{}}
	state, err := new(service.Manager).State()
	switch {
	case err != nil:
		s.State = stateUnknown
		s.problem("%s", silent)
		s.notes = append(s.notes, err.Error())
	case state != service.Running:
		s.State = state
		s.problem("the service is %s", state)
	case errors.Is(silent, fs.ErrPermission):
		s.State = state
		s.notes = append(s.notes, silent.Error())
	default:
		s.State = state
		s.problem("the service is running, but doesn't answer: %s", silent)
	}
	s.checkConfig(file)
}

// checkConfig looks at the config and its certificates as the service would.
func (s *statusAnswer) checkConfig(file string) {
	cfg, problems, err := config.Load(file)
	if errors.Is(err, fs.ErrPermission) {
		s.notes = append(s.notes, err.Error())
		return
	}
	if err != nil {
		s.problem("%s", err)
		return
	}
	if cfg != nil {
		offline, more := service.Offline(cfg, time.Now())
		s.Status = offline
		problems = append(problems, more...)
	}
	if err := problems.Err(); err != nil {
		s.problem("the config has mistakes: %s", err)
	}
}

func (s *statusAnswer) checkExpiry(now time.Time) {
	for _, t := range s.Tunnels {
		if t.ACME != nil && t.ACME.Failure != "" {
			sooner := ", or at once by `tlstunnel reload`"
			if at := t.ACME.NotBefore; now.Before(at) {
				sooner = fmt.Sprintf(", and not before %s by `tlstunnel reload` either, as the CA wants", at.Local().Format(time.DateTime))
			}
			s.problem("tunnel %q: %s; the CA is asked again at %s%s", t.Name, quote.Text(t.ACME.Failure), t.ACME.Next.Local().Format(time.DateTime), sooner)
		} else if t.ACME != nil && t.Expires.IsZero() {
			s.problem("tunnel %q: there is no certificate yet, the CA is being asked for one: nobody can connect", t.Name)
		}
		switch left := t.Expires.Sub(now); {
		case t.Expires.IsZero() || left >= unhealthyBefore:
		case left <= 0:
			s.problem("tunnel %q: the certificate expired on %s", t.Name, t.Expires.Local().Format(time.DateTime))
		default:
			s.problem("tunnel %q: the certificate expires on %s", t.Name, t.Expires.Local().Format(time.DateTime))
		}
	}
}

func (a *app) showStatus(s *statusAnswer) error {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	state := string(s.State)
	if !s.Started.IsZero() {
		state += fmt.Sprintf(" since %s (%s), version %s, process %d", s.Started.Local().Format(time.DateTime),
			time.Since(s.Started).Round(time.Second), quote.Text(s.Version), s.PID)
	}
	fmt.Fprintf(w, "state\t%s\n", state)
	fmt.Fprintf(w, "config\t%s\n", quote.Text(s.Config))
	if s.Source == sourceService {
		fmt.Fprintf(w, "last reload\t%s\n", reloadText(s.LastReload))
		if s.Renewal != nil && !s.Renewal.Due.IsZero() {
			fmt.Fprintf(w, "next renewal\t%s\n", s.Renewal.Due.Local().Format(time.DateTime))
		}
		fmt.Fprintf(w, "memory\t%d MiB\n", s.Memory>>20)
		fmt.Fprintf(w, "source\tthe service itself\n")
	} else {
		fmt.Fprintf(w, "source\tthe service manager, the config and the certificates; the service doesn't answer\n")
	}
	if s.CA != nil {
		fmt.Fprintf(w, "CA expires\t%s\n", s.CA.Expires.Local().Format(time.DateTime))
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
	if len(s.notes)+len(s.Problems) > 0 {
		fmt.Fprintln(a.stdout)
	}
	for _, p := range s.Problems {
		fmt.Fprintf(a.stdout, "problem: %s\n", strings.ReplaceAll(p, "\n", "\n  "))
	}
	for _, n := range s.notes {
		fmt.Fprintf(a.stdout, "note: %s\n", quote.Text(n))
	}
	return nil
}

func reloadText(r *service.ReloadResult) string {
	switch {
	case r == nil:
		return "none since the start"
	case r.Error != "":
		return r.Time.Local().Format(time.DateTime) + ", refused"
	default:
		return r.Time.Local().Format(time.DateTime) + ", done"
	}
}

func (a *app) showTunnels(s *statusAnswer) {
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TUNNEL\tMODE\tLISTEN\tTARGET\tACTIVE\tFINISHED\tFAILED\tCERTIFICATE EXPIRES")
	for _, t := range s.Tunnels {
		active, finished, failed := "-", "-", "-"
		if s.Source == sourceService {
			active, finished = fmt.Sprint(t.Active), fmt.Sprint(t.Completed+t.Interrupted)
			failed = fmt.Sprint(t.Refused + t.HandshakeFailed + t.TargetFailed)
		}
		expires := "-"
		if !t.Expires.IsZero() {
			expires = fmt.Sprintf("%s (%d days)", t.Expires.Local().Format(time.DateOnly), time.Until(t.Expires)/(24*time.Hour))
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", quote.Text(t.Name), quote.Text(t.Mode), quote.Text(t.Listen), quote.Text(strings.Join(t.Target, ", ")), active, finished, failed, expires)
	}
	w.Flush()
}
