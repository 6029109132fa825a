package tunnel

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"slices"
	"testing"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/testkit"
)

// of is an event of a stranger. Its diagnosis code is kind.
func of(ip string, o outcome, kind string) event {
	return event{peerKey{origin: origin(netip.MustParseAddr(ip))}, o, kind, kind}
}

// once is the summary of one skipped connection of e. Its reason is the kind of e.
func once(e event) summary {
	return summary{e, tally{level: slog.LevelInfo, reason: e.kind, skipped: 1}}
}

func TestLogLimiter(t *testing.T) {
	type step struct {
		at      time.Duration
		event   event
		skipped int64
		ok      bool
	}
	silent := of("192.0.2.1", handshakeFailed, silentPeer)
	other := of("192.0.2.2", handshakeFailed, silentPeer)
	http := of("192.0.2.1", handshakeFailed, "HTTP")
	limiter := newLogLimiter(ofStrangers, func([]summary) {})
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
		if skipped, ok := limiter.allow(began.Add(s.at), once(s.event)); skipped != s.skipped || ok != s.ok {
			t.Errorf("step %d: got %d, %v, want %d, %v", i, skipped, ok, s.skipped, s.ok)
		}
	}
}

// However many addresses a flood comes from, the lines and the memory stay bounded, and the
// counts are right.
func TestLogLimiterOfManyOrigins(t *testing.T) {
	const minutes, each = 10, 20_000
	var told []summary
	limiter := newLogLimiter(ofStrangers, func(all []summary) { told = append(told, all...) })
	now := time.Now()
	lines, skipped := 0, int64(0)
	for m := range minutes {
		for i := range each {
			e := of(fmt.Sprintf("2001:db8:%x:%x::1", m, i), outcome(i%2), "noise")
			n, ok := limiter.allow(now, once(e))
			if ok {
				lines++
				skipped += n
			}
		}
		now = now.Add(sampleEvery)
		limiter.writeSummaries(now)
		if n := len(limiter.events); n > maxEvents+int(completed) {
			t.Fatalf("%d events are kept", n)
		}
	}
	now = now.Add(sampleEvery)
	limiter.writeSummaries(now)
	for _, s := range told {
		skipped += s.skipped
	}
	if got := int64(lines) + skipped; got != minutes*each {
		t.Errorf("the log tells of %d, want %d", got, minutes*each)
	}
	if most := int(ofStrangers.burst + minutes*ofStrangers.rate); lines > most {
		t.Errorf("%d lines, want at most %d", lines, most)
	}
	if most := (minutes + 1) * (maxSummed + 2); len(told) > most {
		t.Errorf("%d summaries, want at most %d", len(told), most)
	}
	limiter.stop()
}

// During a flood, an address that is new to the log still gets its first line, and addresses
// that repeat themselves get some lines as well.
func TestLogIsShared(t *testing.T) {
	kinds := []string{silentPeer, "one", "two", "three", "four", "five", "six", "seven"}
	for _, test := range []struct {
		name   string
		limits limits
		origin int // that flood
		known  int // minutes until each of these has had a line
	}{
		{"one stranger", ofStrangers, 1, 0}, {"seven strangers", ofStrangers, 7, 0}, {"50 strangers", ofStrangers, 50, 15},
		{"one that relays", ofRelayed, 1, 0}, {"200 that relay", ofRelayed, 200, 15},
	} {
		t.Run(test.name, func(t *testing.T) {
			limiter := newLogLimiter(test.limits, func([]summary) {})
			defer limiter.stop()
			now := time.Now()
			for minute := range 30 {
				lines := 0
				for range 10 {
					for i := range test.origin {
						for _, kind := range kinds {
							if _, ok := limiter.allow(now, once(of(fmt.Sprintf("192.0.2.%d", i), handshakeFailed, kind))); ok {
								lines++
							}
						}
					}
				}
				if lines == 0 {
					t.Errorf("minute %d: nothing is let through", minute)
				}
				if _, ok := limiter.allow(now, once(of(fmt.Sprintf("198.51.100.%d", minute), handshakeFailed, "one"))); !ok && minute >= test.known {
					t.Errorf("minute %d: the first failure of another address isn't let through", minute)
				}
				now = now.Add(sampleEvery)
				limiter.writeSummaries(now)
			}
			if len(limiter.shares) > maxEvents {
				t.Errorf("%d shares are kept", len(limiter.shares))
			}
			now = now.Add(rememberFor + sampleEvery)
			if limiter.writeSummaries(now); len(limiter.shares) > 0 {
				t.Errorf("%d shares are kept for ever", len(limiter.shares))
			}
		})
	}
}

// A flood of connections that pass bytes to a target, for which TLS without a certificate is
// enough.
func TestLogLimiterOfRelayed(t *testing.T) {
	const seconds, each = 160, 5000
	for name, origins := range map[string]int{"one address": 1, "many addresses": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			var told tally
			lines, summaries := int64(0), 0
			limiter := newLogLimiter(ofRelayed, func(all []summary) {
				summaries += len(all)
				for _, s := range all {
					told.add(s.tally)
				}
			})
			now := time.Now()
			for i := range seconds * each {
				now = now.Add(time.Second / each)
				one := once(of(fmt.Sprintf("2001:db8:%x:%x::1", i%origins>>16, i%origins&0xffff), completed, "end of stream"))
				one.toTarget = 7
				if _, ok := limiter.allow(now, one); ok {
					lines++
				}
				if i%(60*each) == 0 {
					limiter.writeSummaries(now)
				}
			}
			limiter.stop()
			if lines < 300 || lines > 700+300*seconds/60 {
				t.Errorf("%d lines", lines)
			}
			if lines+told.skipped != seconds*each || told.toTarget != 7*told.skipped || told.reason != "end of stream" {
				t.Errorf("%d lines, and %+v", lines, told)
			}
			t.Logf("%d lines and %d summaries of %d connections", lines, summaries, seconds*each)
		})
	}
}

func TestSummariesAreBrief(t *testing.T) {
	n := func(e event, skipped int64, reason string) summary {
		return summary{e, tally{slog.LevelInfo, reason, skipped, 2 * skipped, 3 * skipped}}
	}
	var all []summary
	for i := range 10 {
		reason := "noise"
		if i == 2 {
			reason = "noise: of another kind"
		}
		all = append(all, n(of(fmt.Sprintf("192.0.2.%d", i), outcome(i%2), "noise"), int64(i+1), reason))
	}
	got := mostFrequent(all)
	want := []summary{
		n(of("192.0.2.9", handshakeFailed, "noise"), 10, "noise"),
		n(of("192.0.2.8", refused, "noise"), 9, "noise"),
		n(of("192.0.2.7", handshakeFailed, "noise"), 8, "noise"),
		n(of("192.0.2.6", refused, "noise"), 7, "noise"),
		n(of("192.0.2.5", handshakeFailed, "noise"), 6, "noise"),
		n(event{outcome: refused}, 5+3+1, ""),
		n(event{outcome: handshakeFailed}, 4+2, "noise"),
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

// sample gives r's log the limits that it has outside of tests.
func (r *running) sample() *running {
	for _, limiter := range []*logLimiter{r.strange, r.refusals, r.relayed} {
		limiter.mu.Lock()
		limiter.every = sampleEvery
		limiter.mu.Unlock()
	}
	return r
}

// If strangers do the same thing again and again, the log has five lines, and one more with
// the count. Peers with a good certificate have a line each, and so have peers that send
// something.
func TestLogOfStrangers(t *testing.T) {
	kinds := map[string]func(*end){
		"HTTP":                func(e *end) { _, _ = e.Write([]byte("GET / HTTP/1.1\r\n\r\n")) },
		"nothing":             func(e *end) { e.tcp.Close() },
		"no certificate":      func(e *end) { _ = e.secure(tls.Client, clientTLS()) },
		"an unknown CA":       func(e *end) { _ = e.secure(tls.Client, withCert(testkit.NewCA("Strangers").Issue("x").TLS())) },
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

// A peer whose good certificate matches no rule can't fill the log either, and strangers
// can't crowd it out of the log.
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
		config := withCert(testCA().Issue(name).TLS())
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
			p := newPath(t, "server", func(s *Settings) { s.Front.ClientAuth, s.Front.ClientCAs = auth, testCA().Pool() })
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

// few lowers the limit for relayed connections so far that a test reaches it.
func (r *running) few() *running {
	r.relayed.mu.Lock()
	r.relayed.limits = limits{alike: 3, burst: 4, rate: 1, spare: 0.1}
	r.relayed.mu.Unlock()
	return r.sample()
}

// Peers that have proved nothing can fill the log neither by what they send to the target nor
// by a target that doesn't answer. Those with a good certificate have a line each.
func TestLogOfRelayed(t *testing.T) {
	const each = 20
	for _, test := range []struct {
		name    string
		mode    string
		edit    func(*Settings)
		lines   int
		message string
	}{
		{"server", "server", nil, 3, "connection closed"},
		{"client", "client", nil, 3, "connection closed"},
		{"reset", "server", nil, 3, "connection interrupted"},
		{"no target", "client", func(s *Settings) { s.Targets[0].Address = "127.0.0.1:1" }, 3, "target failed"},
		{"a certificate", "server", requireClientCert, each, "connection closed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, test.mode, test.edit)
			p.echo(t)
			r := p.tunnels[0].few()
			for i := range each {
				peer, err := dial(r.addr)
				if err != nil {
					continue // it was reset
				}
				t.Cleanup(func() { peer.tcp.Close() })
				if test.mode == "server" {
					check(t, peer.secure(tls.Client, withCert(clientCert())))
				}
				_, _ = peer.Write([]byte{1})
				switch test.message {
				case "connection closed":
					check(t, peer.CloseWrite(), func() error { _, err := io.Copy(io.Discard, peer); return err }())
				case "connection interrupted":
					_, err := peer.Read(make([]byte, 1))
					check(t, err)
					peer.reset()
				default:
					_, _ = io.Copy(io.Discard, peer)
				}
				eventually(t, "it has ended", func() bool { s := r.Stats(); return s.Completed+s.Interrupted+s.TargetFailed == int64(i+1) })
			}
			_ = r.Shutdown(context.Background())
			lines, skipped, bytes := 0, int64(0), int64(0)
			for _, line := range r.logs.all() {
				if line.message != test.message {
					t.Error(line)
				}
				if n := line.attrs["skipped"]; n.Kind() == slog.KindInt64 {
					skipped += n.Int64()
				} else {
					lines++
				}
				if n, ok := line.attrs["to_target"]; ok {
					bytes += n.Int64()
				}
			}
			if lines != test.lines || skipped != int64(each-lines) || test.message != "target failed" && bytes != each {
				t.Errorf("%d lines, %d skipped, %d bytes: %v", lines, skipped, bytes, r.logs.all())
			}
		})
	}
}

// If there is only one reason, a summary has all of its text.
func TestReasonsInSummaries(t *testing.T) {
	for _, test := range []struct {
		reasons []string
		want    string
	}{
		{[]string{"the peer isn't speaking TLS: plain HTTP; is mode right?", "the peer isn't speaking TLS: plain HTTP; is mode right?"}, "the peer isn't speaking TLS: plain HTTP; is mode right?"},
		{[]string{"the peer isn't speaking TLS: plain HTTP; is mode right?", "the peer isn't speaking TLS: SSH; is mode right?"}, "the peer isn't speaking TLS..."},
		{[]string{`write "sha256:abc" in allow`, `write "sha256:def" in allow`}, "write..."},
		{[]string{`close_notify is "require": it may be cut off`}, `close_notify is "require": it may be cut off`},
		{[]string{"end of stream"}, "end of stream"},
	} {
		var kinds []string
		var all tally
		for _, reason := range test.reasons {
			kinds = append(kinds, (&ending{Diagnosis: diagnose.Diagnosis{What: reason}}).reasonKind())
			all.add(tally{reason: reason, skipped: 1})
		}
		s := summary{event{kind: kinds[0]}, all}
		if got := s.commonReason(); got != test.want || len(slices.Compact(kinds)) != 1 {
			t.Errorf("%q: got %q of the kinds %q, want %q", test.reasons, got, kinds, test.want)
		}
	}
}

// Clients of SMTP and the like wait for the server to speak first. The log reports such a
// client. Health checks that wait in the same way are reported once.
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
