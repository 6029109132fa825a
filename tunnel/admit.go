package tunnel

import (
	"net/netip"
	"strconv"
)

// admit checks whether the peer may connect at all.
func (t *Tunnel) admit(c *conn) *ending {
	ip := c.peer.Addr()
	switch {
	case contains(c.settings.DenyFrom, ip):
		return refusal("peer.denied")
	case len(c.settings.AllowFrom) > 0 && !contains(c.settings.AllowFrom, ip):
		return refusal("peer.not_allowed_from")
	}

	l := &t.live
	l.mu.Lock()
	defer l.mu.Unlock()
	if end := l.full(c); end != nil {
		return end
	}
	if c.settings.Front != nil && !l.handshakes.add(c) {
		return refusal("tlstunnel.max_handshakes", "count", strconv.Itoa(maxHandshakes))
	}
	c.admitted = true
	return nil
}

// enforceLimits counts c for max_connections. It runs after the handshake: before, a peer has
// proved nothing, and strangers must not use up the places of others.
func (t *Tunnel) enforceLimits(c *conn) *ending {
	l := &t.live
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handshakes.remove(c)
	if end := l.full(c); end != nil {
		return end
	}
	t.returning.add(c.origin)
	c.counted = true
	l.counted++
	l.countedFrom[c.origin]++
	return nil
}

// full returns which limit leaves no room for c. The caller holds mu.
func (l *live) full(c *conn) *ending {
	switch s := c.settings; {
	case s.MaxConnections > 0 && l.counted >= s.MaxConnections:
		return refusal("tlstunnel.max_connections")
	case s.MaxConnectionsPerIP > 0 && l.countedFrom[c.origin] >= s.MaxConnectionsPerIP:
		return refusal("tlstunnel.max_connections_per_ip")
	}
	return nil
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

// origin returns the prefix that counts as one peer. For IPv6 it is the /64: a customer of a
// provider has at least that, and so any number of addresses. Link-local addresses share one /64
// on every network, so each of them counts by itself.
func origin(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() && !ip.IsLinkLocalUnicast() {
		bits = 64
	}
	p, _ := ip.WithZone("").Prefix(bits)
	return p
}
