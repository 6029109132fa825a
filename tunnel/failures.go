package tunnel

import (
	"log/slog"
	"sync"
	"time"

	"tlstunnel/internal/diagnose"
)

// Failures are the failed connections of a tunnel, by the side that failed. They don't include
// port scanners.
type Failures struct {
	Peer   Failure `json:"peer,omitzero"` // the last one, and the count of all
	Target Failure `json:"target,omitzero"`

	// PeerRow and TargetRow are the failures in a row, since a connection last succeeded on that
	// side. They count only peers that connect from this machine or from allow_from, or have
	// proved their certificate. So strangers can't add to them.
	PeerRow   Failure `json:"peer_row,omitzero"`
	TargetRow Failure `json:"target_row,omitzero"`
}

// A Failure says why a connection failed, and how often that has happened.
type Failure struct {
	Count   int64     `json:"count"`
	Since   time.Time `json:"since"` // the first failure
	Time    time.Time `json:"time"`  // the last failure
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

// failures collects the Failures. The zero value is ready for use.
type failures struct {
	mu  sync.Mutex // guards what follows
	all Failures
}

// forget ends the rows: with new settings, the next connection may succeed.
func (f *failures) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.all.PeerRow, f.all.TargetRow = Failure{}, Failure{}
}

// note adds the end of a connection.
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
		// Scanners, our own stop, and connections that succeeded.
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

// known reports whether the peer is none of the strangers: see [Failures.PeerRow].
func (c *conn) known() bool {
	return c.peer.Addr().IsLoopback() || c.admitted && len(c.settings.AllowFrom) > 0 || c.hasProved()
}

// settledAfter is how long a connection must live to count as a success if the target sends
// nothing. A target takes a moment to refuse our certificate.
const settledAfter = 10 * time.Second

// Failures may be called at any time. A connection counts at its end. An open connection counts
// too, if it has succeeded.
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
