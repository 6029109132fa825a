package tunnel

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"

	"tlstunnel/internal/diagnose"
)

// stranger is a connection that proves nothing, from an address.
func stranger(tun *Tunnel, ip string) *conn {
	addr := netip.MustParseAddr(ip)
	c := &conn{settings: tun.settings.Load(), peer: netip.AddrPortFrom(addr, 1), origin: origin(addr), accepted: time.Now()}
	tun.register(c)
	return c
}

// If there is no room for another handshake, the origin with the most handshakes loses one.
func TestPendingMakesRoom(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS()})
	tun := New(s)
	from := map[string][]*conn{}
	admit := func(ip string) *ending {
		c := stranger(tun, ip)
		from[origin(c.peer.Addr()).String()] = append(from[c.origin.String()], c)
		return tun.admit(c)
	}
	for i := range maxHandshakes - 10 {
		if end := admit(fmt.Sprintf("2001:db8::%x", i)); end != nil { // all of one /64
			t.Fatal(end)
		}
	}
	for i := range 10 {
		if end := admit(fmt.Sprintf("192.0.2.%d", i)); end != nil {
			t.Fatal(end)
		}
	}
	if end := admit("2001:db8:0:0:ffff::1"); end == nil || end.outcome != refused || end.Level != slog.LevelWarn {
		t.Errorf("one more of the largest group: got %v", end)
	}
	for i := range 20 {
		if end := admit(fmt.Sprintf("198.51.100.%d", i)); end != nil {
			t.Error("a peer of another address:", end.What)
		}
	}
	flood := from["2001:db8::/64"]
	for i, c := range flood[:maxHandshakes-10] {
		if gaveUp := context.Cause(c.setup) == crowded; gaveUp != (i < 20) {
			t.Fatalf("connection %d of the flood: gave up is %v", i, gaveUp)
		}
	}
	for ip, conns := range from {
		for _, c := range conns {
			if ip != "2001:db8::/64" && c.setup.Err() != nil {
				t.Error(ip, "had to give up")
			}
			tun.unregister(c)
		}
	}
	if p := tun.live.handshakes; p.size != 0 || len(p.groups) != 0 || len(p.order) != 0 || tun.live.count() != 0 {
		t.Errorf("left: %d in %d groups, %d in the heap, %d connections", p.size, len(p.groups), len(p.order), tun.live.count())
	}
}

// If each origin has one handshake, the oldest handshake is given up.
func TestPendingOfManyOrigins(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS()})
	tun := New(s)
	var all []*conn
	for i := range maxHandshakes + 5 {
		c := stranger(tun, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
		c.accepted = c.accepted.Add(time.Duration(i))
		if end := tun.admit(c); end != nil {
			t.Fatal(end)
		}
		all = append(all, c)
	}
	for i, c := range all {
		if gaveUp := context.Cause(c.setup) == crowded; gaveUp != (i < 5) {
			t.Errorf("connection %d: gave up is %v", i, gaveUp)
		}
		tun.unregister(c)
	}
}

// During a flood from thousands of addresses, a peer that was here before keeps its
// handshakes, but no more of them than the reserve.
func TestPendingOfReturningOrigin(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS()})
	tun := New(s)
	const known = "192.0.2.77"
	tun.returning.add(origin(netip.MustParseAddr(known)))
	var all []*conn
	admit := func(ip string) {
		c := stranger(tun, ip)
		if end := tun.admit(c); end != nil {
			t.Fatal(end)
		}
		all = append(all, c)
	}
	for range reserve + 2 {
		admit(known)
	}
	for i := range 2 * maxHandshakes {
		admit(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}).String())
	}
	for i, c := range all[:reserve+2] {
		if gaveUp := c.setup.Err() != nil; gaveUp != (i < 2) {
			t.Errorf("handshake %d of it: gave up is %v", i+1, gaveUp)
		}
	}
	for _, c := range all {
		tun.unregister(c)
	}
	if p := tun.live.handshakes; p.size != 0 || len(p.groups) != 0 || len(p.order) != 0 {
		t.Errorf("left: %d in %d groups, %d in the heap", p.size, len(p.groups), len(p.order))
	}
}

// A peer that has been through a tunnel that is open to all is a stranger to the other
// tunnels of the process, and makes none of them forget its own peers.
func TestReturningIsOfOneTunnel(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS()})
	open, closed := New(s), New(s)
	come := func(tun *Tunnel, ip string) {
		c := stranger(tun, ip)
		if end := cmp.Or(tun.admit(c), tun.enforceLimits(c)); end != nil {
			t.Fatal(end)
		}
		tun.unregister(c)
	}
	const partner, last = "192.0.2.77", "10.1.255.255"
	come(closed, partner)
	for i := range 2 * maxReturning {
		come(open, netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}).String())
	}
	come(open, last)
	for ip, want := range map[string]bool{partner: true, last: false} {
		c := stranger(closed, ip)
		if end := closed.admit(c); end != nil {
			t.Fatal(end)
		}
		if got := closed.live.handshakes.groups[c.origin].reserved > 0; got != want {
			t.Errorf("%s has reserved places: %v", ip, got)
		}
		closed.unregister(c)
	}
}

func TestRecent(t *testing.T) {
	r := recent{size: 2}
	at := func(i byte) netip.Prefix { return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 0, 0, i}), 32) }
	for i := range byte(5) {
		r.add(at(i))
		r.add(at(0)) // which keeps it
	}
	for i, want := range []bool{true, false, false, true, true} {
		if got := r.has(at(byte(i))); got != want {
			t.Errorf("%d: got %v", i, got)
		}
	}
}

func TestOrigin(t *testing.T) {
	for address, want := range map[string]string{
		"192.0.2.7":              "192.0.2.7/32",
		"2001:db8:1:2:3:4:5:6":   "2001:db8:1:2::/64",
		"fe80::1:2%eth0":         "fe80::1:2/128",
		"2001:db8:1:2:3:4:5:6%x": "2001:db8:1:2::/64",
	} {
		if got := origin(netip.MustParseAddr(address)).String(); got != want {
			t.Errorf("%s: got %s, want %s", address, got, want)
		}
	}
}

// Connections that have proved nothing don't count towards max_connections and
// max_connections_per_ip.
func TestStrangersTakeNoPlaces(t *testing.T) {
	for name, limit := range map[string]func(*Settings){
		"max_connections":        func(s *Settings) { s.MaxConnections = 2 },
		"max_connections_per_ip": func(s *Settings) { s.MaxConnectionsPerIP = 2 },
	} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", func(s *Settings) { requireClientCert(s); limit(s) })
			r := p.tunnels[0]
			hello := clientHello(clientTLS())
			for i := range 10 {
				silent := mustDial(t, r.addr)
				if i%2 == 0 {
					_, err := silent.Write(hello)
					check(t, err)
				}
			}
			eventually(t, "they are there", func() bool { return r.Stats().Active == 10 })
			config := clientTLS()
			config.GetClientCertificate = oneCertificate(clientCert())
			for range 2 {
				peer := mustDialTLS(t, r.addr, config)
				target, err := p.accept()
				check(t, err)
				t.Cleanup(func() { target.tcp.Close() })
				check(t, exchange(peer, target))
			}
			dialInVain(t, r.addr) // without a handshake
			r.logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel, name+" is reached")
		})
	}
}

// Two handshakes run when one place for a connection is left. The handshake that ends second
// gets none.
func TestLastPlace(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS(), MaxConnections: 1})
	tun := New(s)
	first, second := stranger(tun, "192.0.2.1"), stranger(tun, "192.0.2.2")
	for _, c := range []*conn{first, second} {
		if end := tun.admit(c); end != nil {
			t.Fatal(end)
		}
	}
	if end := tun.enforceLimits(first); end != nil {
		t.Fatal(end)
	}
	if end := tun.enforceLimits(second); end == nil || end.What != "max_connections is reached" {
		t.Errorf("got %v", end)
	}
	tun.unregister(second)
	tun.unregister(first)
	if end := tun.admit(stranger(tun, "192.0.2.3")); end != nil {
		t.Error("the place isn't free again:", end.What)
	}
}

// max_connections_per_ip counts all addresses of a /64.
func TestPlacesOfOneNetwork(t *testing.T) {
	s, _ := complete(Settings{Front: serverTLS(), MaxConnectionsPerIP: 1})
	tun := New(s)
	for ip, taken := range map[string]bool{"2001:db8::1": true, "2001:db8:0:1::1": true, "192.0.2.1": true} {
		c := stranger(tun, ip)
		if tun.admit(c) != nil || (tun.enforceLimits(c) == nil) != taken {
			t.Error(ip)
		}
	}
	for ip, refused := range map[string]bool{"2001:db8::2": true, "2001:db8:0:1:ffff::1": true, "192.0.2.1": true, "192.0.2.2": false, "2001:db8:0:2::1": false} {
		if end := tun.admit(stranger(tun, ip)); (end != nil) != refused {
			t.Errorf("%s: got %v", ip, end)
		}
	}
}

// What a peer sees if it has to make room, and what the log says of it.
func TestHandshakeGivesUp(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	r := p.tunnels[0]
	peer := mustDial(t, r.addr)
	eventually(t, "it is in its handshake", func() bool {
		r.live.mu.Lock()
		defer r.live.mu.Unlock()
		return r.live.handshakes.size == 1
	})
	r.live.mu.Lock()
	r.live.handshakes.order[0].oldest().giveUp(crowded)
	r.live.mu.Unlock()
	wantEnd(t, peer)
	r.logs.expect(t, 0, slog.LevelWarn, "handshake failed", byTunnel,
		"2048 connections are in their handshake, most of them from the peer's address or none as old as this one: it made room for another")
	check(t, exchange(p.open(t)))
}

// wantEnd waits until a connection has ended, by an end of stream or an error.
func wantEnd(t *testing.T, e *end) {
	t.Helper()
	if n, err := e.Read(make([]byte, 1)); n != 0 || err == nil || diagnose.IsTimeout(err) {
		t.Errorf("got %d bytes and %v, want an end", n, err)
	}
}
