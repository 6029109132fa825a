package tunnel

import (
	"sync/atomic"
)

// Stats are a tunnel's counts since it was made.
type Stats struct {
	Active          int64 `json:"active"`  // connections now
	Refused         int64 `json:"refused"` // by an address rule or a limit, or not authorized
	HandshakeFailed int64 `json:"handshake_failed"`
	TargetFailed    int64 `json:"target_failed"`
	Interrupted     int64 `json:"interrupted"`
	Completed       int64 `json:"completed"`
	NoCloseNotify   int64 `json:"no_close_notify"` // completed connections whose TLS side sent no close_notify
	ToTarget        int64 `json:"to_target"`       // bytes
	ToPeer          int64 `json:"to_peer"`         // bytes
}

type counters struct {
	outcomes      [completed + 1]atomic.Int64
	noCloseNotify atomic.Int64
}

func (n *counters) count(c *conn, end *ending) {
	n.outcomes[end.outcome].Add(1)
	if end.outcome == completed && c.back != nil && (c.front.truncated() || c.back.truncated()) {
		n.noCloseNotify.Add(1)
	}
}

// Stats may be called at any time. A connection counts at its end. Active and the bytes include
// open connections.
func (t *Tunnel) Stats() Stats {
	n := &t.stats
	active, toTarget, toPeer := t.live.sum()
	return Stats{
		Active:          active,
		Refused:         n.outcomes[refused].Load(),
		HandshakeFailed: n.outcomes[handshakeFailed].Load(),
		TargetFailed:    n.outcomes[dialFailed].Load(),
		Interrupted:     n.outcomes[interrupted].Load(),
		Completed:       n.outcomes[completed].Load(),
		NoCloseNotify:   n.noCloseNotify.Load(),
		ToTarget:        toTarget,
		ToPeer:          toPeer,
	}
}
