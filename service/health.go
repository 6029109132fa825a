package service

import (
	"fmt"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/quote"
	"tlstunnel/tunnel"
)

// Verdict is whether the service does what it is there for.
type Verdict string

// The verdicts, from good to bad.
const (
	OK       Verdict = "ok"
	Degraded Verdict = "degraded" // it serves, but something needs looking after
	Unknown  Verdict = "unknown"  // nobody could be asked
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

// problem makes the verdict v, unless it is worse already.
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

// newHealth is what there is to say before anything is known.
func newHealth() Health {
	return Health{Verdict: OK, Healthy: true, Problems: []string{}, Notes: []string{}}
}

// unhealthyBefore is how long before the end of a certificate the service counts
// as ill.
const unhealthyBefore = 7 * 24 * time.Hour

// rowToIll is how many connections in a row must fail for the tunnel to count as
// ill: one or two may be the fault of their peers alone.
const rowToIll = 3

// judge adds to the health what the rest of the status says.
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
		st.problem(Degraded, "tunnel %q is left out since %s: %s; it was tried %s, and is tried again all the while",
			t.Name, date.Time(out.Since), quote.Text(out.Reason), times(out.Attempts))
		return
	}
	if t.ACME != nil && t.ACME.Failure != "" {
		sooner := ", or at once by `tlstunnel reload`"
		if at := t.ACME.NotBefore; now.Before(at) {
			sooner = fmt.Sprintf(", and not before %s by `tlstunnel reload` either, as the CA wants", date.Time(at))
		}
		st.problem(Degraded, "tunnel %q: %s; the CA is asked again at %s%s", t.Name, quote.Text(t.ACME.Failure), date.Time(t.ACME.Next), sooner)
	} else if t.ACME != nil && t.Expires.IsZero() {
		st.problem(Degraded, "tunnel %q: there is no certificate yet, the CA is being asked for one: nobody can connect", t.Name)
	}
	switch left := t.Expires.Sub(now); {
	case now.Before(t.Begins):
		st.problem(Degraded, "tunnel %q: the certificate isn't valid before %s", t.Name, date.Time(t.Begins))
	case t.Expires.IsZero() || left >= unhealthyBefore:
	case left <= 0:
		st.problem(Degraded, "tunnel %q: the certificate expired on %s", t.Name, date.Time(t.Expires))
	default:
		st.problem(Degraded, "tunnel %q: the certificate expires on %s", t.Name, date.Time(t.Expires))
	}
	st.judgeTargets(t)
	if row := t.Failures.PeerRow; row.Count >= rowToIll {
		st.problem(Degraded, "tunnel %q: no peer gets in: %s", t.Name, rowText(row))
	}
}

func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// judgeTargets says what is wrong behind the tunnel. It is as the last connections
// have found it.
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
	if row := t.Failures.TargetRow; row.Count >= rowToIll && !down {
		st.problem(Degraded, "tunnel %q: nothing comes back from the target: %s", t.Name, rowText(row))
	}
}

func rowText(row tunnel.Failure) string {
	return fmt.Sprintf("the last %d connections failed, from %s to %s, the last one with %q: %s",
		row.Count, date.Time(row.Since), date.Time(row.Time), row.Address, quote.Text(row.Reason))
}

// LeftOut are the tunnels that don't run.
func (st *Status) LeftOut() (all []TunnelStatus) {
	for _, t := range st.Tunnels {
		if t.LeftOut != nil {
			all = append(all, t)
		}
	}
	return all
}

// LastFailures say what went wrong last with each side of each tunnel.
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

// moment is a time as people read it.
