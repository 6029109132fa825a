package tunnel

import (
	"log/slog"
	"net"
	"net/netip"
	"testing"
	"time"
)

func prefixes(texts ...string) (all []netip.Prefix) {
	for _, text := range texts {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

func TestConnectionLimits(t *testing.T) {
	tests := map[string]struct {
		edit   func(*Settings)
		reason string
	}{
		"max_connections":        {func(s *Settings) { s.MaxConnections = 2 }, "max_connections is reached"},
		"max_connections_per_ip": {func(s *Settings) { s.MaxConnectionsPerIP = 2 }, "max_connections_per_ip is reached"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "client", test.edit)
			r := p.tunnels[0]
			peer, target := p.open(t)
			check(t, exchange(peer, target))
			check(t, exchange(p.open(t)))

			const tries = 5
			for range tries {
				dialInVain(t, r.addr)
			}
			eventually(t, "the refused ones are counted", func() bool { return r.Stats().Refused == tries })
			r.logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel, test.reason)

			check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
			eventually(t, "its slot is free", func() bool { return r.Stats().Completed == 1 })
			eventually(t, "its slot is free", func() bool { return r.live.count() == 1 })
			check(t, exchange(p.open(t)))
		})
	}
}

func TestSampler(t *testing.T) {
	var s sampler
	began := time.Now()
	for _, step := range []struct {
		at      time.Duration
		skipped int64
		ok      bool
	}{
		{0, 0, true},
		{time.Millisecond, 0, false},
		{999 * time.Millisecond, 0, false},
		{time.Second, 2, true},
		{1999 * time.Millisecond, 0, false},
		{5 * time.Second, 1, true},
		{7 * time.Second, 0, true},
	} {
		if skipped, ok := s.allow(began.Add(step.at)); skipped != step.skipped || ok != step.ok {
			t.Errorf("at %v: got %d, %v, want %d, %v", step.at, skipped, ok, step.skipped, step.ok)
		}
	}
}

func TestAddressRules(t *testing.T) {
	const (
		admitted = ""
		denied   = "the peer's address is in deny_from"
		unlisted = "the peer's address isn't in allow_from"
	)
	tests := []struct {
		name        string
		allow, deny []netip.Prefix
		want        map[string]string // by the peer's address
	}{
		{"no rules", nil, nil, map[string]string{"10.0.0.1": admitted, "2001:db8::1": admitted, "fe80::1%eth0": admitted}},
		{"allow", prefixes("10.0.0.0/8", "2001:db8::/32", "192.168.1.7/32"), nil, map[string]string{
			"10.0.0.1": admitted, "::ffff:10.0.0.1": admitted, "11.0.0.1": unlisted, "192.168.1.7": admitted, "192.168.1.8": unlisted,
			"2001:db8::1": admitted, "2001:db9::1": unlisted, "::1": unlisted}},
		{"deny", nil, prefixes("10.0.0.0/8", "fe80::/10"), map[string]string{
			"10.0.0.1": denied, "::ffff:10.0.0.1": denied, "11.0.0.1": admitted, "fe80::1%eth0": denied, "::1": admitted}},
		{"deny wins", prefixes("10.0.0.0/8"), prefixes("10.1.0.0/16"), map[string]string{
			"10.0.0.1": admitted, "10.1.0.1": denied, "11.0.0.1": unlisted}},
		{"everybody of one family", prefixes("0.0.0.0/0"), nil, map[string]string{"10.0.0.1": admitted, "::ffff:10.0.0.1": admitted, "::1": unlisted}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s, _ := complete(Settings{AllowFrom: test.allow, DenyFrom: test.deny})
			tun := New(s)
			for address, want := range test.want {
				addr := netip.AddrPortFrom(netip.MustParseAddr(address).Unmap(), 1)
				got := admitted
				if end := tun.admit(&conn{settings: tun.settings.Load(), peer: addr}); end != nil {
					got = end.What
				}
				if got != want {
					t.Errorf("%s: got %q, want %q", address, got, want)
				}
			}
		})
	}
}

// On a socket for both families, the system reports an IPv4 peer as ::ffff:127.0.0.1.
func TestAddressRulesAtDualStackListener(t *testing.T) {
	l, err := net.Listen("tcp", "[::]:0")
	if err != nil {
		t.Skip("no IPv6:", err)
	}
	leakCheck(t)
	target := listen(t)
	s := toTargets(target.Addr().String())
	s.AllowFrom, s.DenyFrom = prefixes("127.0.0.1/32", "::1/128"), prefixes("::1/128")
	r := startOn(t, l, s)
	_, port, _ := net.SplitHostPort(r.addr)

	peer := mustDial(t, net.JoinHostPort("127.0.0.1", port))
	accepted, err := target.Accept()
	check(t, err)
	back := newEnd(accepted)
	defer back.tcp.Close()
	check(t, exchange(peer, back))

	dialInVain(t, net.JoinHostPort("::1", port))
	rec := r.logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel, "the peer's address is in deny_from")
	if host, _, _ := net.SplitHostPort(rec.text("peer")); host != "::1" {
		t.Error(rec)
	}
	back.tcp.Close()
	peer.tcp.Close()
	if rec := r.logs.next(t, 1); netip.MustParseAddrPort(rec.text("peer")).Addr() != netip.MustParseAddr("127.0.0.1") {
		t.Error(rec)
	}
}
