package tunnel

import (
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

func from(ip string) netip.Prefix { return origin(netip.MustParseAddr(ip)) }

func TestLogLimiter(t *testing.T) {
	type step struct {
		at      time.Duration
		event   event
		skipped int64
		ok      bool
	}
	silent := event{from("192.0.2.1"), handshakeFailed, sentNothing, ""}
	other := event{from("192.0.2.2"), handshakeFailed, sentNothing, ""}
	http := event{from("192.0.2.1"), handshakeFailed, "HTTP", ""}
	limiter := newLogLimiter(func([]summary) {})
	defer limiter.stop()
	began := time.Now()
	for i, s := range []step{
		{0, silent, 0, true},
		{time.Second, silent, 0, false},
		{time.Second, other, 0, true},
		{time.Second, http, 0, true},
		{59 * time.Second, silent, 0, false},
		{60 * time.Second, silent, 2, true},
		{119 * time.Second, silent, 0, false},
		{time.Hour, silent, 1, true},
		{time.Hour, other, 0, true},
		{time.Hour, http, 0, true},
		{time.Hour, http, 0, true},
		{time.Hour, http, 0, true},
		{time.Hour, http, 0, true},
		{time.Hour, http, 0, true},
		{time.Hour, http, 0, false},
		{time.Hour + time.Minute, http, 1, true},
		{time.Hour + time.Minute, http, 0, true},
	} {
		if skipped, ok := limiter.take(began.Add(s.at), s.event, slog.LevelInfo); skipped != s.skipped || ok != s.ok {
			t.Errorf("step %d: got %d, %v, want %d, %v", i, skipped, ok, s.skipped, s.ok)
		}
	}
}

// However many addresses a flood comes from, the lines and the memory are bounded, and
// the counts are right.
func TestLogLimiterOfManyOrigins(t *testing.T) {
	const minutes, each = 10, 20_000
	var told []summary
	limiter := newLogLimiter(func(all []summary) { told = append(told, all...) })
	now := time.Now()
	lines, skipped := 0, int64(0)
	for m := range minutes {
		for i := range each {
			e := event{from(fmt.Sprintf("2001:db8:%x:%x::1", m, i)), outcome(i % 2), "noise", ""}
			n, ok := limiter.take(now, e, slog.LevelInfo)
			if ok {
				lines++
				skipped += n
			}
		}
		now = now.Add(sampleEvery)
		limiter.sum(now)
		if n := len(limiter.events); n > maxEvents+int(completed) {
			t.Fatalf("%d events are kept", n)
		}
	}
	now = now.Add(sampleEvery)
	limiter.sum(now)
	for _, s := range told {
		skipped += s.skipped
	}
	if got := int64(lines) + skipped; got != minutes*each {
		t.Errorf("%d are told of, want %d", got, minutes*each)
	}
	if most := burst + minutes*linesPer; lines > most {
		t.Errorf("%d lines, want at most %d", lines, most)
	}
	if most := (minutes + 1) * (maxSummed + 2); len(told) > most {
		t.Errorf("%d summaries, want at most %d", len(told), most)
	}
	limiter.stop()
}

func TestSummariesAreBrief(t *testing.T) {
	var all []summary
	for i := range 10 {
		all = append(all, summary{event{from(fmt.Sprintf("192.0.2.%d", i)), outcome(i % 2), "noise", ""}, slog.LevelInfo, int64(i + 1)})
	}
	got := brief(all)
	want := []summary{
		{event{from("192.0.2.9"), handshakeFailed, "noise", ""}, slog.LevelInfo, 10},
		{event{from("192.0.2.8"), refused, "noise", ""}, slog.LevelInfo, 9},
		{event{from("192.0.2.7"), handshakeFailed, "noise", ""}, slog.LevelInfo, 8},
		{event{from("192.0.2.6"), refused, "noise", ""}, slog.LevelInfo, 7},
		{event{from("192.0.2.5"), handshakeFailed, "noise", ""}, slog.LevelInfo, 6},
		{event{outcome: refused, kind: "several"}, slog.LevelInfo, 5 + 3 + 1},
		{event{outcome: handshakeFailed, kind: "several"}, slog.LevelInfo, 4 + 2},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// sample makes r's log what it is outside of tests.
func (r *running) sample() *running {
	for _, limiter := range []*logLimiter{r.strange, r.refusals} {
		limiter.mu.Lock()
		limiter.every = sampleEvery
		limiter.mu.Unlock()
	}
	return r
}

// What strangers do alike is five lines, and one with the count at the end. Peers whose
// certificate is good have a line each, and so have those who say something.
func TestLogOfStrangers(t *testing.T) {
	kinds := map[string]func(*end){
		"HTTP":                func(e *end) { _, _ = e.Write([]byte("GET / HTTP/1.1\r\n\r\n")) },
		"nothing":             func(e *end) { e.tcp.Close() },
		"no certificate":      func(e *end) { _ = e.secure(tls.Client, clientTLS()) },
		"an unknown CA":       func(e *end) { _ = e.secure(tls.Client, withCert(newAuthority("Strangers").issue("x", nil))) },
		"a hello and no more": func(e *end) { _, _ = e.Write(clientHello(clientTLS())); e.tcp.Close() },
	}
	const each = 20
	for name, act := range kinds {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", requireClientCert)
			r := p.tunnels[0].sample()
			for range each {
				peer := mustDial(t, r.addr)
				act(peer)
			}
			eventually(t, "all have ended", func() bool { return r.Stats().HandshakeFailed == each })
			line := r.logs.next(t, 0)
			_ = r.Shutdown(context.Background())
			sum := r.logs.next(t, 5)
			if n := r.logs.count(); n != 6 || sum.message != "handshake failed" || sum.level != line.level ||
				sum.attrs["skipped"].Int64() != each-5 || sum.text("peer") != "127.0.0.1" {
				t.Errorf("%d lines: %v", n, r.logs.all())
			}
		})
	}
}

// A peer whose good certificate isn't enough can't fill the log either, and strangers can't
// keep it from the log.
func TestLogOfRefusedPeers(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", func(s *Settings) {
		requireClientCert(s)
		s.Allow = []Rule{{"cn", "another"}}
	})
	r := p.tunnels[0].sample()
	r.strange.mu.Lock()
	r.strange.lines, r.strange.since = 0, time.Now() // as after a flood
	r.strange.mu.Unlock()
	const each = 8
	for _, name := range []string{"one", "two"} {
		config := withCert(testCA().issue(name, nil))
		for range each {
			peer := mustDial(t, r.addr)
			_ = peer.secure(tls.Client, config)
		}
	}
	eventually(t, "all have ended", func() bool { return r.Stats().Refused == 2*each })
	_ = r.Shutdown(context.Background())
	skipped := make(map[string]int64)
	for _, rec := range r.logs.all()[2*5:] {
		skipped[rec.text("identity")] += rec.attrs["skipped"].Int64()
	}
	if fmt.Sprint(skipped) != fmt.Sprint(map[string]int64{"CN=one": each - 5, "CN=two": each - 5}) {
		t.Errorf("%v skipped: %v", skipped, r.logs.all())
	}
}

func TestLogOfPeers(t *testing.T) {
	for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequireAndVerifyClientCert} {
		t.Run(auth.String(), func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", func(s *Settings) { s.Front.ClientAuth, s.Front.ClientCAs = auth, testCA().pool() })
			r := p.tunnels[0].sample()
			for i := range 5 {
				peer := mustDialTLS(t, r.addr, withCert(clientCert()))
				target, err := p.accept()
				check(t, err)
				check(t, exchange(peer, target))
				closeBoth(t, p, i, peer, target)
				target.tcp.Close()
			}
		})
	}
}

// A client that waits for the server to speak first, as those of SMTP do, is told of;
// health checks that wait like this are told of once.
func TestSilentPlainClient(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", func(s *Settings) { s.HandshakeTimeout = 100 * time.Millisecond })
	r := p.tunnels[0].sample()
	for range 3 {
		wantEnd(t, mustDial(t, r.addr))
	}
	eventually(t, "all have ended", func() bool { return r.Stats().HandshakeFailed == 3 })
	r.logs.expect(t, 0, slog.LevelInfo, "handshake failed", byTunnel, reasonSilent)
	if n := r.logs.count(); n != 1 {
		t.Errorf("%d lines: %v", n, r.logs.all())
	}
}
