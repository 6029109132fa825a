package tunnel

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// deadTarget is an address that accepts no connection. It doesn't answer at all if the system
// can do that, and refuses otherwise.
func deadTarget(t testing.TB) string {
	if address := unresponsivePort(t); address != "" {
		return address
	}
	return closedPort(t)
}

// wantServed makes a connection through r that l takes.
func wantServed(t testing.TB, r *running, l net.Listener) {
	t.Helper()
	peer := mustDial(t, r.addr)
	accepted, err := l.Accept()
	check(t, err)
	target := newEnd(accepted)
	defer target.tcp.Close()
	check(t, exchange(peer, target))
	check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
}

func TestDeadTargetIsTriedLast(t *testing.T) {
	leakCheck(t)
	dead, up := deadTarget(t), listen(t)
	s := toTargets(dead, up.Addr().String())
	s.ConnectTimeout = 200 * time.Millisecond
	r := start(t, s)
	for i := range 4 {
		wantServed(t, r, up)
		if failed := r.logs.next(t, i).text("failed"); (failed != "") != (i == 0) {
			t.Errorf("connection %d: failed is %q", i+1, failed)
		}
	}
	states := r.Targets()
	if states[0].Address != dead || states[0].DownSince.IsZero() || states[0].LastError == "" || !states[1].DownSince.IsZero() {
		t.Errorf("got %+v", states)
	}
}

// TestStateOutlivesApply: after a reload the tunnel keeps what it knows of the targets that
// stay, and forgets those that go.
func TestStateOutlivesApply(t *testing.T) {
	leakCheck(t)
	dead, up := closedPort(t), listen(t)
	s, _ := complete(toTargets(dead, up.Addr().String()))
	r := start(t, s)
	wantServed(t, r, up)
	since := r.Targets()[0].DownSince
	r.Apply(s)
	if got := r.Targets()[0].DownSince; since.IsZero() || !got.Equal(since) {
		t.Errorf("down since %v, and %v after Apply", since, got)
	}
	without := s
	without.Targets = s.Targets[1:]
	r.Apply(without)
	r.Apply(s)
	if got := r.Targets()[0].DownSince; !got.IsZero() {
		t.Errorf("a target that was gone is down since %v", got)
	}
}

func TestTargetComesBack(t *testing.T) {
	leakCheck(t)
	first, second := closedPort(t), listen(t)
	r := start(t, toTargets(first, second.Addr().String()))
	wantServed(t, r, second)
	l, err := net.Listen("tcp", first)
	if err != nil {
		t.Skip("another program took the port:", err)
	}
	defer l.Close()
	r.targets.TryAll() // its back-off is over
	wantServed(t, r, second)
	asked, err := l.Accept() // in the background
	check(t, err)
	check(t, receiveEnd(newEnd(asked)))
	asked.Close()
	eventually(t, "the first target works", func() bool { return r.Targets()[0].DownSince.IsZero() })
	wantServed(t, r, l)
}

// TestSilentTLSTarget: a target accepts connections, but sends nothing.
func TestSilentTLSTarget(t *testing.T) {
	leakCheck(t)
	silent, p := listen(t), newPath(t, "client", nil)
	s := Settings{HandshakeTimeout: 200 * time.Millisecond, Targets: []Target{
		{Address: silent.Addr().String(), TLS: clientTLS()}, {Address: p.target.Addr().String(), TLS: clientTLS()}}}
	r := start(t, s)
	p.tunnels[0] = r
	for i := range 2 {
		peer, target := p.open(t)
		check(t, exchange(peer, target))
		check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
		if failed := r.logs.next(t, i).text("failed"); (failed != "") != (i == 0) {
			t.Errorf("connection %d: failed is %q", i+1, failed)
		}
	}
}

// TestStopWhileTrying: an attempt in the background doesn't delay a stop.
func TestStopWhileTrying(t *testing.T) {
	leakCheck(t)
	dead, up := deadTarget(t), listen(t)
	r := start(t, toTargets(dead, up.Addr().String()))
	r.targets.Failed(dead, "", "silent")
	r.targets.TryAll()
	wantServed(t, r, up)
	check(t, r.Shutdown(t.Context()))
}

// TestAllDown: when every target is down, each is tried again by each connection.
func TestAllDown(t *testing.T) {
	leakCheck(t)
	first, second := closedPort(t), closedPort(t)
	r := start(t, toTargets(first, second))
	dialInVain(t, r.addr)
	l, err := net.Listen("tcp", first)
	if err != nil {
		t.Skip("another program took the port:", err)
	}
	defer l.Close()
	wantServed(t, r, l)
}

// named makes the tunnel resolve every name to ips.
func named(r *running, ips ...string) {
	next := *r.settings.Load()
	next.dialer.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		here, there := net.Pipe()
		go answerDNS(there, ips)
		return here, nil
	}}
	r.settings.Store(&next)
}

// answerDNS answers one question, as over TCP (RFC 1035, section 4.2.2).
func answerDNS(c net.Conn, ips []string) {
	defer c.Close()
	buf := make([]byte, 512)
	n, err := c.Read(buf)
	if err != nil {
		return
	}
	question := buf[2:n]
	end := 12 + slices.Index(question[12:], 0) + 5
	answer := slices.Concat(question[:2], []byte{0x84, 0, 0, 1, 0, 0, 0, 0, 0, 0}, question[12:end])
	for _, ip := range ips {
		addr := netip.MustParseAddr(ip)
		kind := byte(1) // A
		if addr.Is6() {
			kind = 28 // AAAA
		}
		if question[end-3] == kind {
			answer[7]++
			answer = slices.Concat(answer, []byte{0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, byte(addr.BitLen() / 8)}, addr.AsSlice())
		}
	}
	_, _ = c.Write(binary.BigEndian.AppendUint16(nil, uint16(len(answer))))
	_, _ = c.Write(answer)
}

func TestDeadAddressIsTriedLast(t *testing.T) {
	leakCheck(t)
	up := listen(t)
	_, port, _ := net.SplitHostPort(up.Addr().String())
	target := net.JoinHostPort("pacs.clinic.example", port)
	r := start(t, toTargets(target))
	named(r, "127.0.0.9", "127.0.0.1") // nothing listens at the first one
	addresses := func() []string {
		s := r.settings.Load()
		got, err := s.resolve(t.Context(), s.Targets[0])
		check(t, err)
		return got
	}
	dead, good := net.JoinHostPort("127.0.0.9", port), net.JoinHostPort("127.0.0.1", port)
	if got := addresses(); !slices.Equal(got, []string{dead, good}) {
		t.Fatalf("got %v", got)
	}
	wantServed(t, r, up)
	if got := addresses(); !slices.Equal(got, []string{good, dead}) {
		t.Errorf("got %v, want the dead one last", got)
	}
	states := r.Targets()
	if at := states[0]; !at.DownSince.IsZero() || len(at.Addresses) != 1 || at.Addresses[0].Address != dead || at.Addresses[0].LastError == "" {
		t.Errorf("got %+v", states)
	}

	l, err := net.Listen("tcp", dead)
	if err != nil {
		t.Skip("not to be had on this system:", err)
	}
	defer l.Close()
	r.settings.Load().addresses[target].TryAll()
	wantServed(t, r, up)
	eventually(t, "the first address works", func() bool { return r.Targets()[0].Addresses == nil })
	asked, err := l.Accept()
	check(t, err)
	asked.Close()
	wantServed(t, r, l)

	// An address that the name no longer has is forgotten.
	r.settings.Load().addresses[target].Failed(dead, "", "silent")
	named(r, "127.0.0.1")
	wantServed(t, r, up)
	if got := r.Targets()[0].Addresses; got != nil {
		t.Errorf("got %+v", got)
	}
}

// TestSilentAddress: an address doesn't answer at all. The tunnel tries the next address
// beside it, and from then on before it.
func TestSilentAddress(t *testing.T) {
	leakCheck(t)
	dead, up := unresponsivePort(t), listen(t)
	if dead == "" {
		t.Skip("not to be had on this system")
	}
	r := start(t, toTargets("pacs.clinic.example:104"))
	s := r.settings.Load()
	target, addresses := s.Targets[0], []string{dead, up.Addr().String()}
	s.addresses[target.Address].Set(addresses)
	c := &conn{settings: s, setup: t.Context()}
	tcp, err := c.dialFirst(c.setup, target, addresses)
	check(t, err)
	defer tcp.Close()
	if got := tcp.RemoteAddr().String(); got != addresses[1] {
		t.Errorf("connected to %s", got)
	}
	if got := s.addresses[target.Address].States()[0]; got.Since.IsZero() || got.Code != "target.slow_address" {
		t.Errorf("got %+v", got)
	}
}

// A stop before the first attempt gives an error, as a stop later does.
func TestDialWhenStopped(t *testing.T) {
	leakCheck(t)
	up := listen(t)
	r := start(t, toTargets(up.Addr().String()))
	s := r.settings.Load()
	c := &conn{settings: s, setup: stopNow()}
	if tcp, err := c.dialFirst(c.setup, s.Targets[0], []string{up.Addr().String()}); tcp != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("got %v and %v", tcp, err)
	}
}

// If a target is down and no connection tries it, a request for the tunnel's state does.
func TestTargetComesBackWithoutConnections(t *testing.T) {
	leakCheck(t)
	only := closedPort(t)
	r := start(t, toTargets(only))
	dialInVain(t, r.addr)
	r.logs.wait(t, 1)
	down := r.Targets()[0]
	if down.DownSince.IsZero() || down.LastTried.Before(down.DownSince) {
		t.Errorf("got %+v", down)
	}
	l, err := net.Listen("tcp", only)
	if err != nil {
		t.Skip("another program took the port:", err)
	}
	defer l.Close()
	r.targets.TryAll() // its back-off is over
	eventually(t, "the target works", func() bool { return r.Targets()[0].DownSince.IsZero() })
	_ = r.Shutdown(stopNow())
	r.targets.Failed(only, "target.refused", "nothing listens")
	r.targets.TryAll()
	r.Targets() // starts nothing any more: leakCheck would see it
}
