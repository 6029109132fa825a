package tunnel

import (
	"log/slog"
	"sync"
	"time"

	"tlstunnel/internal/diagnose"
)

// Failures are the connections of a tunnel that didn't go well, by the side that
// failed. What port scanners do isn't among them.
type Failures struct {
	Peer   Failure `json:"peer,omitzero"` // the last one, and the count of all
	Target Failure `json:"target,omitzero"`

	// PeerRow and TargetRow are those since a connection went well on that side, of
	// peers that aren't just anybody: they connect from this machine or from
	// allow_from, or have proved their certificate. Strangers can't add to them.
	PeerRow   Failure `json:"peer_row,omitzero"`
	TargetRow Failure `json:"target_row,omitzero"`
}

// A Failure is why a connection failed, and how often that has happened.
type Failure struct {
	Count   int64     `json:"count"`
	Since   time.Time `json:"since"` // the first one
	Time    time.Time `json:"time"`  // the last one
	Address string    `json:"address"`
	Reason  string    `json:"reason"`
	Code    string    `json:"code"` // of the reason, for programs
}

func (f *Failure) add(address string, why diagnose.Diagnosis, now time.Time) {
	if f.Count++; f.Count == 1 {
		f.Since = now
	}
	f.Time, f.Address, f.Reason, f.Code = now, address, clip(why.String()), why.Code
}

// failures collects them. The zero value is ready for use.
type failures struct {
	mu  sync.Mutex // guards what follows
	all Failures
}

// forget ends the rows: with new settings, the next connection may go well.
func (f *failures) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.PeerRow, f.all.TargetRow = Failure{}, Failure{}
}

// note takes the end of a connection.
func (f *failures) note(c *conn, end *ending, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end.outcome >= dialFailed {
		f.all.PeerRow = Failure{}
	}
	if end.outcome == completed || c.toFront.Load() > 0 {
		f.all.TargetRow = Failure{}
	}
	switch {
	case end.Level == slog.LevelDebug || end.outcome == completed:
		// Scanners, our own stop, and what went well.
	case end.outcome == dialFailed || end.outcome == interrupted && end.By == byTarget:
		f.all.Target.add(c.targetAddress(), end.Diagnosis, now)
		if c.known() && c.toFront.Load() == 0 {
			f.all.TargetRow.add(c.targetAddress(), end.Diagnosis, now)
		}
	case end.outcome == refused || end.outcome == handshakeFailed || end.By == byPeer:
		f.all.Peer.add(c.peer.String(), end.Diagnosis, now)
		if c.known() && end.outcome != interrupted {
			f.all.PeerRow.add(c.peer.String(), end.Diagnosis, now)
		}
	}
}

// known reports whether the peer isn't just anybody who can reach us.
func (c *conn) known() bool {
	return c.peer.Addr().IsLoopback() || c.admitted && len(c.settings.AllowFrom) > 0 || c.hasProved()
}

// settledAfter is how long a connection that the target has taken must live to have gone
// well, when nothing comes from there: to refuse a certificate takes a moment.
const settledAfter = 10 * time.Second

// Failures may be called at any time. Connections count at their end, and those that
// are open if they go well.
func (t *Tunnel) Failures() Failures {
	now := time.Now()
	t.failures.mu.Lock()
	all := t.failures.all
	t.failures.mu.Unlock()
	if all.PeerRow.Count+all.TargetRow.Count == 0 {
		return all
	}
	for _, r := range t.live.relays() {
		if r.accepted.After(all.PeerRow.Time) {
			all.PeerRow = Failure{}
		}
		if r.accepted.After(all.TargetRow.Time) && (r.toFront.Load() > 0 || now.Sub(r.accepted) > settledAfter) {
			all.TargetRow = Failure{}
		}
	}
	return all
}
