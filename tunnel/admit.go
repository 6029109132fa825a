package tunnel

import (
	"net/netip"
	"sync"
	"time"
)

// admit says whether the peer may connect at all, and counts it in; then
// release must follow.
func (t *Tunnel) admit(c *conn) *ending {
	ip := c.peer.Addr()
	switch {
	case contains(c.settings.DenyFrom, ip):
		return refusal("the peer's address is in deny_from")
	case len(c.settings.AllowFrom) > 0 && !contains(c.settings.AllowFrom, ip):
		return refusal("the peer's address isn't in allow_from")
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case c.settings.MaxConnections > 0 && t.active >= c.settings.MaxConnections:
		return refusal("max_connections is reached")
	case c.settings.MaxConnectionsPerIP > 0 && t.perIP[ip] >= c.settings.MaxConnectionsPerIP:
		return refusal("max_connections_per_ip is reached")
	}
	c.admitted = true
	t.active++
	t.perIP[ip]++
	return nil
}

// release undoes admit.
func (t *Tunnel) release(c *conn) {
	ip := c.peer.Addr()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.active--
	if t.perIP[ip]--; t.perIP[ip] == 0 {
		delete(t.perIP, ip)
	}
}

func contains(prefixes []netip.Prefix, ip netip.Addr) bool {
	ip = ip.WithZone("")
	for _, p := range prefixes {
		if p.Contains(ip) {
			return true
		}
	}
	return false
}

// sampler lets one event a second through, so that a flood of them doesn't
// become a flood of log lines. The zero value is ready for use.
type sampler struct {
	mu      sync.Mutex // guards what follows
	next    time.Time
	skipped int64
}

// take reports whether this event is let through, and how many weren't since
// the last one that was.
func (s *sampler) take(now time.Time) (skipped int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	s.next = now.Add(time.Second)
	return skipped, true
}
