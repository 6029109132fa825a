package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/control"
	"tlstunnel/pki/acme"
	"tlstunnel/service/compile"
	"tlstunnel/tunnel"
)

// TestVerdict: which verdict each fault leads to, and what the status says of it.
func TestVerdict(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	row := func(n int64) tunnel.Failure {
		return tunnel.Failure{Count: n, Since: day(-1), Time: now, Address: "192.0.2.1:4000", Reason: "it refused the certificate"}
	}
	one := func(edit func(*TunnelStatus)) func(*Status) {
		return func(st *Status) {
			st.Tunnels = []TunnelStatus{{Name: "well"}, {Name: "pacs"}}
			edit(&st.Tunnels[1])
		}
	}
	out := &LeftOut{Reason: "no such address", Since: day(-1), Attempts: 7}
	if got := times(1) + ", " + times(2); got != "once, 2 times" {
		t.Errorf("got %q", got)
	}
	tests := []struct {
		name string
		edit func(*Status)
		want Verdict
		text string
	}{
		{"no tunnel", func(*Status) {}, OK, ""},
		{"all well", one(func(*TunnelStatus) {}), OK, ""},
		{"reload refused", func(st *Status) { st.LastReload = &ReloadResult{Error: "wrong"} }, Degraded,
			"the last reload was refused, the service goes on with the config before it: wrong"},
		{"renewal", func(st *Status) { st.Renewal = &RenewalStatus{Error: "the disk is full", Retry: now} }, Degraded,
			"the renewal of the server certificate failed, and is tried again on 2026-11-25 12:00:00 +00:00: the disk is full"},
		{"left out", one(func(s *TunnelStatus) { s.LeftOut = out }), Degraded,
			`tunnel "pacs" is left out since 2026-11-24 12:00:00 +00:00: no such address; it was tried 7 times, and the service keeps trying`},
		{"all left out", func(st *Status) { st.Tunnels = []TunnelStatus{{Name: "a", LeftOut: out}, {Name: "b", LeftOut: out}} }, Down, "no tunnel listens"},
		{"expired", one(func(s *TunnelStatus) { s.Expires = day(-1) }), Degraded, `tunnel "pacs": the certificate expired on 2026-11-24 12:00:00 +00:00, and peers refuse it: renew it`},
		{"expires", one(func(s *TunnelStatus) { s.Expires = day(3) }), Degraded, `tunnel "pacs": the certificate expires on 2026-11-28 12:00:00 +00:00`},
		{"not valid yet", one(func(s *TunnelStatus) { s.Begins, s.Expires = day(1), day(100) }), Degraded, `tunnel "pacs": the certificate isn't valid before 2026-11-26 12:00:00 +00:00`},
		{"expires later", one(func(s *TunnelStatus) { s.Expires = day(8) }), OK, ""},
		{"no certificate", one(func(s *TunnelStatus) { s.ACME = new(acme.Status) }), Degraded,
			`tunnel "pacs": there is no certificate yet, the CA is being asked for one: no client can connect`},
		{"target down", one(func(s *TunnelStatus) {
			s.Targets = []tunnel.TargetState{{Address: "a:104"}, {Address: "b:104", DownSince: day(-1), LastTried: day(0), LastError: "nothing listens"}}
		}), Degraded, `tunnel "pacs": target "b:104" is down since 2026-11-24 12:00:00 +00:00, last tried 2026-11-25 12:00:00 +00:00: nothing listens`},
		{"one address of a target", one(func(s *TunnelStatus) {
			s.Targets = []tunnel.TargetState{{Address: "a:104", Addresses: []tunnel.TargetState{{Address: "[::1]:104", DownSince: day(-1)}}}}
		}), OK, ""},
		{"two in a row", one(func(s *TunnelStatus) { s.Failures.PeerRow, s.Failures.TargetRow = row(2), row(2) }), OK, ""},
		{"three peers in a row", one(func(s *TunnelStatus) { s.Failures.PeerRow = row(3) }), Degraded,
			`tunnel "pacs": no peer gets in: the last 3 connections failed, from 2026-11-24 12:00:00 +00:00 to 2026-11-25 12:00:00 +00:00, the last one with "192.0.2.1:4000": it refused the certificate`},
		{"three times the target", one(func(s *TunnelStatus) { s.Failures.TargetRow = row(3) }), Degraded,
			`tunnel "pacs": nothing comes back from the target: the last 3 connections failed,`},
		{"strangers", one(func(s *TunnelStatus) { s.Failures.Peer = row(1000) }), OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st := Status{Health: newHealth()}
			tt.edit(&st)
			st.judge(now)
			if st.Verdict != tt.want || st.Healthy != (tt.want == OK) || (len(st.Problems) == 0) != (tt.want == OK) {
				t.Errorf("got %+v, want %s", st.Health, tt.want)
			}
			if tt.text != "" && !strings.HasPrefix(st.Problems[0], tt.text) {
				t.Errorf("got %q, want %q", st.Problems, tt.text)
			}
		})
	}
}

// TestStatusACME: the status advises a reload only if that helps.
func TestStatusACME(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for _, tt := range []struct {
		notBefore time.Time
		want      string
	}{
		{time.Time{}, "too many; the CA is asked again at 2026-11-25 14:00:30 +00:00, or at once by `tlstunnel reload`"},
		{now, "too many; the CA is asked again at 2026-11-25 14:00:30 +00:00, or at once by `tlstunnel reload`"},
		{now.Add(2 * time.Hour), "too many; the CA is asked again at 2026-11-25 14:00:30 +00:00, and not before 2026-11-25 14:00:00 +00:00 by `tlstunnel reload` either, because the CA demands that wait"},
	} {
		st := Status{Health: newHealth(), Tunnels: []TunnelStatus{{Name: "pacs", ACME: &acme.Status{
			Failure: "too many", Next: now.Add(2*time.Hour + 30*time.Second), NotBefore: tt.notBefore}}}}
		st.judge(now)
		if len(st.Problems) != 1 || !strings.HasSuffix(st.Problems[0], tt.want) {
			t.Errorf("got %q, want %q", st.Problems, tt.want)
		}
	}
}

// TestVerdictOfNetwork: the faults of a network, through real tunnels.
func TestVerdictOfNetwork(t *testing.T) {
	client := func(name, target, more string) string {
		return fmt.Sprintf("[[tunnel]]\nname = %q\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = %q\n%s\n", name, target, more)
	}
	server := startService(t, serverTunnel("open", "127.0.0.1:0", greeter(t, "one"), "")+
		serverTunnel("closed", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	ca := fmt.Sprintf("ca = %q", filepath.Join(server.pkiDir(), "ca.crt"))
	tests := []struct {
		name, config string
		times        int
		want         string
	}{
		{"target down", client("c", freePort(t), ca), 1, "is down since "},
		{"name", client("c", "nothing.invalid:104", ca), 1, "is down since "},
		{"certificate refused here", client("c", server.Addr("open").String(), "ca = 'own'"), 1, "is down since "},
		{"certificate refused there", client("c", server.Addr("closed").String(), ca), failuresToDegraded, "nothing comes back from the target: the last 3 connections failed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := startService(t, "pki.names = []\n"+tt.config)
			if st := s.Status(); st.Verdict != OK {
				t.Fatalf("before: %+v", st.Health)
			}
			for range tt.times {
				if err := s.talk("c"); err == nil {
					t.Error("the connection went well")
				}
			}
			s.log.AwaitCount(t, "ended_by=", tt.times)
			st := s.Status()
			if st.Verdict != Degraded || !strings.Contains(st.Problems[0], tt.want) {
				t.Errorf("got %+v, want %q", st.Health, tt.want)
			}
			if st.Tunnels[0].Failures.Target.Count != int64(tt.times) {
				t.Errorf("got %+v", st.Tunnels[0].Failures)
			}
		})
	}
	// The next tunnel lets in the peer that this tunnel refuses.
	if st := server.Status(); st.Verdict != Degraded || !strings.Contains(st.Problems[0], "no peer gets in: the last 3 connections failed") {
		t.Errorf("the server: %+v", st.Health)
	}
	speak(server.dial("closed", server.tlsConfig())).expect(t, "one")
	if st := server.Status(); st.Verdict != OK {
		t.Errorf("the server afterwards: %+v", st.Health)
	}
}

// TestStatusNeverWaits: the status waits neither for a reload nor for the end of a stop.
func TestStatusNeverWaits(t *testing.T) {
	s := startService(t, "shutdown_grace = '1h'\n"+serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), ""))
	live := s.dial("a", s.tlsConfig())
	speak(live).expect(t, "one")
	s.changing.Lock() // a reload that reads from a dead network drive holds it
	s.updating.Lock() // everything that changes the status holds it
	if st := s.Status(); st.State != StateRunning || st.Verdict != OK {
		t.Errorf("during a reload: %+v", st.Health)
	}
	s.updating.Unlock()
	s.changing.Unlock()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		s.Stop()
	}()
	s.log.Await(t, "msg=stopping")
	if st := s.Status(); st.State != StateStopping || st.Verdict != Down || st.Tunnels[0].Active != 1 {
		t.Errorf("during a stop: %+v", st)
	}
	if _, err := s.Reload(t.Context(), true); !errors.Is(err, errStopping) {
		t.Errorf("a reload during a stop: %v", err)
	}
	live.Close()
	<-stopped
}

// TestStatusReadsNoFile: the disk with the PKI may hang or be gone.
func TestStatusReadsNoFile(t *testing.T) {
	s := startService(t, "watch = false\n"+serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	want := s.Status().CA
	check(t, os.RemoveAll(filepath.Join(filepath.Dir(s.file), "pki")))
	if got := s.Status().CA; want == nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestOtherUsers: if something concerns another user than the one that reads the status, the
// status says so.
func TestOtherUsers(t *testing.T) {
	cfg, _ := config.Parse(config.SystemConfig(), nil)
	denied := fmt.Errorf("looking for %q: %w", "ca.key", fs.ErrPermission)
	if got := compile.PKIProblems(cfg, nil, denied, time.Now()); len(got) != 1 || !strings.Contains(got[0].Text, "permission denied; run `tlstunnel check` as root or administrator") {
		t.Errorf("got %v", got)
	}
	st := withoutService(load(t, "").File, fmt.Errorf("%w with this config", control.ErrNotRunning), Fallback{noManager, compile.Check})
	if !strings.Contains(strings.Join(st.Notes, "\n"), "ask as that user") {
		t.Errorf("got %+v", st.Health)
	}
}

// noManager is a system without a service manager.
func noManager() (string, error) { return "", errors.New("this machine isn't run by systemd") }

// TestWithoutService: a service of which nothing can be known isn't healthy.
func TestWithoutService(t *testing.T) {
	cfg := load(t, "")
	check(t, replaceFile(cfg.File, "pki.dir = 'pki'\n"))
	for _, tt := range []struct {
		silent error
		want   Verdict
	}{
		{fmt.Errorf("%w with this config", control.ErrNotRunning), Down},
		{fmt.Errorf("this user may not: %w", fs.ErrPermission), Unknown},
		{context.DeadlineExceeded, Unknown},
	} {
		if st := withoutService(cfg.File, tt.silent, Fallback{noManager, compile.Check}); st.Verdict != tt.want || st.Healthy || st.Source != SourceSystem || len(st.Problems) != 1 {
			t.Errorf("%v: got %+v, want %s", tt.silent, st, tt.want)
		}
	}
}
