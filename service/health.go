package service

import (
	"fmt"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/quote"
	"tlstunnel/tunnel"
)

// Verdict says whether the service does its work.
type Verdict string

// The verdicts, from good to bad.
const (
	OK       Verdict = "ok"
	Degraded Verdict = "degraded" // it serves, but something needs an administrator
	Unknown  Verdict = "unknown"  // neither the service nor the service manager could say
	Down     Verdict = "down"     // it doesn't run, or none of its tunnels listens
)

// Health is the verdict with its reasons.
type Health struct {
	Verdict  Verdict  `json:"verdict"`
	Healthy  bool     `json:"healthy"`  // the verdict is OK
	Problems []string `json:"problems"` // why it isn't
	Notes    []string `json:"notes"`    // worth knowing, but no problem
}

var badness = map[Verdict]int{OK: 0, Degraded: 1, Unknown: 2, Down: 3}

// problem adds a problem and sets the verdict to v, unless it is worse already.
func (h *Health) problem(v Verdict, format string, args ...any) {
	if badness[v] > badness[h.Verdict] {
		h.Verdict = v
	}
	h.Healthy = false
	h.Problems = append(h.Problems, fmt.Sprintf(format, args...))
}

func (h *Health) note(format string, args ...any) {
	h.Notes = append(h.Notes, fmt.Sprintf(format, args...))
}

// newHealth returns a Health without problems.
func newHealth() Health {
	return Health{Verdict: OK, Healthy: true, Problems: []string{}, Notes: []string{}}
}

// degradedBeforeExpiry is how long before the end of a certificate the verdict becomes
// Degraded.
const degradedBeforeExpiry = 7 * 24 * time.Hour

// failuresToDegraded is how many connections in a row must fail before the verdict becomes
// Degraded. One or two failures may be the fault of their peers alone.
const failuresToDegraded = 3

// judge adds the problems that the other fields of the status show.
func (st *Status) judge(now time.Time) {
	if st.LastReload != nil && st.LastReload.Error != "" {
		st.problem(Degraded, "the last reload was refused, the service goes on with the config before it: %s", st.LastReload.Error)
	}
	if st.Renewal != nil && st.Renewal.Error != "" {
		st.problem(Degraded, "the renewal of the server certificate failed, and is tried again on %s: %s", date.Time(st.Renewal.Retry), st.Renewal.Error)
	}
	if st.LogError != "" {
		st.problem(Degraded, "the log file %q can't be written, and the tunnels go on without it: %s", st.Log, st.LogError)
	}
	if st.CRLError != "" {
		st.problem(Degraded, "%s", st.CRLError)
	}
	if out := len(st.LeftOut()); out > 0 && out == len(st.Tunnels) {
		st.problem(Down, "no tunnel listens")
	}
	for i := range st.Tunnels {
		st.judgeTunnel(&st.Tunnels[i], now)
	}
}

func (st *Status) judgeTunnel(t *TunnelStatus, now time.Time) {
	if out := t.LeftOut; out != nil {
		st.problem(Degraded, "tunnel %q is left out since %s: %s; it was tried %s, and the service keeps trying",
			t.Name, date.Time(out.Since), quote.Text(out.Reason), times(out.Attempts))
		return
	}
	if t.ACME != nil && t.ACME.Failure != "" {
		sooner := ", or at once by `tlstunnel reload`"
		if at := t.ACME.NotBefore; now.Before(at) {
			sooner = fmt.Sprintf(", and not before %s by `tlstunnel reload` either, because the CA demands that wait", date.Time(at))
		}
		st.problem(Degraded, "tunnel %q: %s; the CA is asked again at %s%s", t.Name, quote.Text(t.ACME.Failure), date.Time(t.ACME.Next), sooner)
	} else if t.ACME != nil && t.Expires.IsZero() {
		st.problem(Degraded, "tunnel %q: there is no certificate yet, the CA is being asked for one: no client can connect", t.Name)
	}
	switch left := t.Expires.Sub(now); {
	case now.Before(t.Begins):
		st.problem(Degraded, "tunnel %q: the certificate isn't valid before %s", t.Name, date.Time(t.Begins))
	case t.Expires.IsZero() || left >= degradedBeforeExpiry:
	case left <= 0:
		st.problem(Degraded, "tunnel %q: the certificate expired on %s, and peers refuse it: renew it", t.Name, date.Time(t.Expires))
	default:
		st.problem(Degraded, "tunnel %q: the certificate expires on %s", t.Name, date.Time(t.Expires))
	}
	st.judgeTargets(t)
	if row := t.Failures.PeerRow; row.Count >= failuresToDegraded {
		st.problem(Degraded, "tunnel %q: no peer gets in: %s", t.Name, rowText(row))
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// judgeTargets adds the problems with the targets, as the last connections found them.
func (st *Status) judgeTargets(t *TunnelStatus) {
	down := false
	for _, target := range t.Targets {
		if !target.DownSince.IsZero() {
			down = true
			st.problem(Degraded, "tunnel %q: target %q is down since %s, last tried %s: %s", t.Name, target.Address, date.Time(target.DownSince), date.Time(target.LastTried), quote.Text(target.LastError))
		}
		for _, address := range target.Addresses {
			st.note("tunnel %q: of target %q, the address %q is down since %s, last tried %s, others work: %s",
				t.Name, target.Address, address.Address, date.Time(address.DownSince), date.Time(address.LastTried), quote.Text(address.LastError))
		}
	}
	if row := t.Failures.TargetRow; row.Count >= failuresToDegraded && !down {
		st.problem(Degraded, "tunnel %q: nothing comes back from the target: %s", t.Name, rowText(row))
	}
}

func rowText(row tunnel.Failure) string {
	return fmt.Sprintf("the last %d connections failed, from %s to %s, the last one with %q: %s",
		row.Count, date.Time(row.Since), date.Time(row.Time), row.Address, quote.Text(row.Reason))
}

// LeftOut returns the tunnels that are left out.
func (st *Status) LeftOut() (all []TunnelStatus) {
	for _, t := range st.Tunnels {
		if t.LeftOut != nil {
			all = append(all, t)
		}
	}
	return all
}

// LastFailures returns a sentence for the last failure of each side of each tunnel.
func (st *Status) LastFailures() (all []string) {
	for _, t := range st.Tunnels {
		for _, side := range []struct {
			name string
			last tunnel.Failure
		}{{"peer", t.Failures.Peer}, {"target", t.Failures.Target}} {
			if side.last.Count > 0 {
				all = append(all, fmt.Sprintf("tunnel %q, %s %q, at %s, %d in all: %s",
					t.Name, side.name, side.last.Address, date.Time(side.last.Time), side.last.Count, side.last.Reason))
			}
		}
	}
	return all
}
