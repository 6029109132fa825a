package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"log/slog"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/tlsio"
)

// TestStatsWhileOpen: the bytes of a connection count as they move, and once.
func TestStatsWhileOpen(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			peer, target := p.open(t)
			const up, down = 100_000, 7
			check(t, together(func() error { return send(peer, up) }, func() error { return receive(target, up) }))
			check(t, together(func() error { return send(target, down) }, func() error { return receive(peer, down) }))
			moved := func() (n Stats) {
				n = p.tunnels[0].Stats()
				return n
			}
			eventually(t, "the bytes of an open connection", func() bool {
				n := moved()
				return n.Active == 1 && n.Completed == 0 && n.ToTarget == up && n.ToPeer == down
			})
			check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
			eventually(t, "the end of the connection", func() bool { return moved().Active == 0 })
			if n := moved(); n.Completed != 1 || n.ToTarget != up || n.ToPeer != down {
				t.Errorf("got %+v", n)
			}
		})
	}
}

// TestFailures: what failed last on each side, and how often in a row.
func TestFailures(t *testing.T) {
	t.Run("target down", func(t *testing.T) {
		leakCheck(t)
		at := closedPort(t)
		r := start(t, toTargets(at))
		dialInVain(t, r.addr)
		dialInVain(t, r.addr)
		r.logs.wait(t, 2)
		f := r.Failures()
		if f.Target.Count != 2 || f.Target.Reason != reasonRefused || f.Target.Address != at || f.TargetRow.Count != 2 || f.Peer.Count != 0 {
			t.Errorf("got %+v", f)
		}
		for _, of := range []any{f, r.Targets()} { // as a monitor reads it
			text, err := json.Marshal(of)
			check(t, err)
			if !strings.Contains(string(text), `"code":"target.refused"`) {
				t.Errorf("got %s", text)
			}
		}
	})
	t.Run("certificate that the target refuses", func(t *testing.T) {
		leakCheck(t)
		var accept atomic.Bool
		p := newPath(t, "pair", func(s *Settings) {
			requireClientCert(s)
			if s.Front == nil {
				s.Targets[0].TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if !accept.Load() {
						return new(tls.Certificate), nil
					}
					c := clientCert()
					return &c, nil
				}
			}
		})
		client, server := p.tunnels[0], p.tunnels[1]
		for range 3 {
			dialInVain(t, client.addr)
		}
		client.logs.wait(t, 3)
		server.logs.wait(t, 3)
		// In TLS 1.3 the client has a connection before the refusal arrives.
		if f := client.Failures(); f.TargetRow.Count != 3 || !strings.Contains(f.TargetRow.Reason, "client certificate") || f.TargetRow.Since.After(f.TargetRow.Time) {
			t.Errorf("client: %+v", f)
		}
		if f := server.Failures(); f.PeerRow.Count != 3 || f.Peer.Count != 3 || f.Target.Count != 0 {
			t.Errorf("server: %+v", f)
		}
		accept.Store(true)
		peer, target := p.open(t)
		check(t, together(func() error { return send(target, 1) }, func() error { return receive(peer, 1) }))
		for _, r := range p.tunnels {
			eventually(t, "the end of the row", func() bool { f := r.Failures(); return f.PeerRow.Count+f.TargetRow.Count == 0 })
		}
		if f := client.Failures(); f.Target.Count != 3 {
			t.Errorf("client afterwards: %+v", f)
		}
	})
	t.Run("new settings", func(t *testing.T) {
		leakCheck(t)
		s, logs := complete(toTargets(closedPort(t)))
		r := &running{New(s), "", logs}
		r.failures.note(&conn{settings: r.settings.Load(), peer: netip.MustParseAddrPort("127.0.0.1:1")}, &ending{outcome: dialFailed, Diagnosis: diagnose.Diagnosis{Level: slog.LevelWarn}}, time.Now())
		r.Apply(s)
		if f := r.Failures(); f.TargetRow.Count != 0 || f.Target.Count != 1 {
			t.Errorf("got %+v", f)
		}
		_ = r.Shutdown(stopNow())
	})
}

// TestFailuresOfStrangers: the failures of strangers are shown, but don't count as failures
// in a row.
func TestFailuresOfStrangers(t *testing.T) {
	var (
		open     = &settings{}
		closed   = &settings{Settings: Settings{AllowFrom: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}}
		proved   = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{testCA().Certificate}}
		stranger = "192.0.2.1:4000"
	)
	tests := []struct {
		name     string
		settings *settings
		peer     string
		admitted bool
		session  *tls.ConnectionState
		end      ending
		shown    int64
		row      int64
	}{
		{"garbage", open, stranger, true, nil, ending{outcome: handshakeFailed, Diagnosis: diagnose.Diagnosis{Level: slog.LevelInfo}}, 1, 0},
		{"port scan", open, "127.0.0.1:4000", true, nil, ending{outcome: handshakeFailed, Diagnosis: diagnose.Diagnosis{Level: slog.LevelDebug}}, 0, 0},
		{"garbage from this machine", open, "127.0.0.1:4000", true, nil, ending{outcome: handshakeFailed, Diagnosis: diagnose.Diagnosis{Level: slog.LevelInfo}}, 1, 1},
		{"from allow_from", closed, stranger, true, nil, ending{outcome: handshakeFailed, Diagnosis: diagnose.Diagnosis{Level: slog.LevelInfo}}, 1, 1},
		{"not from allow_from", closed, "198.51.100.1:4000", false, nil, ending{outcome: refused, Diagnosis: diagnose.Diagnosis{Level: slog.LevelWarn}}, 1, 0},
		{"not in allow", open, stranger, true, proved, ending{outcome: refused, Diagnosis: diagnose.Diagnosis{Level: slog.LevelWarn}}, 1, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f failures
			c := &conn{settings: tt.settings, peer: netip.MustParseAddrPort(tt.peer), admitted: tt.admitted, session: tt.session, front: &side{tls: new(tlsio.Conn)}}
			f.note(c, &tt.end, time.Now())
			if f.all.Peer.Count != tt.shown || f.all.PeerRow.Count != tt.row || f.all.Target.Count+f.all.TargetRow.Count != 0 {
				t.Errorf("got %+v", f.all)
			}
		})
	}
}
