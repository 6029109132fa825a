package tunnel

import (
	"context"
	"net/netip"
	"strconv"
)

// admit says whether the peer may connect at all, and counts it in; then
// release must follow.
func (t *Tunnel) admit(c *conn) *ending {
	ip := c.peer.Addr()
	switch {
	case contains(c.settings.DenyFrom, ip):
		return refusal("peer.denied")
	case len(c.settings.AllowFrom) > 0 && !contains(c.settings.AllowFrom, ip):
		return refusal("peer.not_allowed_from")
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	if end := t.full(c); end != nil {
		return end
	}
	if c.settings.Front != nil {
		c.early, c.giveUp = context.WithCancelCause(t.setup)
		if !t.pending.add(c) {
			c.giveUp(nil)
			return refusal("tlstunnel.max_handshakes", "count", strconv.Itoa(maxHandshakes))
		}
	}
	c.admitted = true
	t.active++
	return nil
}

// takePlace makes c one of those that max_connections counts. Before, it has proved
// nothing, and strangers mustn't take the places of others.
func (t *Tunnel) takePlace(c *conn) *ending {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leavePending(c)
	if end := t.full(c); end != nil {
		return end
	}
	c.placed = true
	t.placed++
	t.placedFrom[c.origin]++
	return nil
}

// full says why c can't have a place. The caller holds t.mu.
func (t *Tunnel) full(c *conn) *ending {
	switch s := c.settings; {
	case s.MaxConnections > 0 && t.placed >= s.MaxConnections:
		return refusal("tlstunnel.max_connections")
	case s.MaxConnectionsPerIP > 0 && t.placedFrom[c.origin] >= s.MaxConnectionsPerIP:
		return refusal("tlstunnel.max_connections_per_ip")
	}
	return nil
}

// release undoes admit and takePlace.
func (t *Tunnel) release(c *conn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.leavePending(c)
	if c.placed {
		t.placed--
		if t.placedFrom[c.origin]--; t.placedFrom[c.origin] == 0 {
			delete(t.placedFrom, c.origin)
		}
	}
	t.active--
}

// leavePending is for the caller to hold t.mu.
func (t *Tunnel) leavePending(c *conn) {
	t.pending.remove(c)
	if c.giveUp != nil {
		c.giveUp(nil)
		c.early, c.giveUp = nil, nil
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

// origin is what counts as one address where strangers are kept apart. Of IPv6, a
// customer has at least a /64, and so any number of addresses. Link-local ones are in
// the same /64 for all.
func origin(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() && !ip.IsLinkLocalUnicast() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}
