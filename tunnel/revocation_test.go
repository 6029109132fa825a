package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/sock"
	"tlstunnel/internal/testkit"
	"tlstunnel/internal/tlsio"
)

// revoking is a list of the CA that revokes the serial numbers.
func revoking(a *testkit.Cert, serials ...string) *RevocationList {
	l := &RevocationList{Name: "clinic.crl", Issuer: a.Certificate, Revoked: map[string]string{}}
	for _, serial := range serials {
		l.Revoked[serial] = "on Monday: keyCompromise"
	}
	return l
}

const revokedText = "certificate was revoked on Monday: keyCompromise (clinic.crl)"

// A list covers the certificates that its CA signed, not those of another CA with the same
// name. It covers intermediate CAs as well as the leaf.
func TestRevoked(t *testing.T) {
	root, namesake := testkit.NewCA("Root"), testkit.NewCA("Root")
	middle := root.Issue("Root", testkit.AsCA, func(c *x509.Certificate) { c.SerialNumber = big.NewInt(7) }) // of the same name, too
	direct, below := root.Issue("a").Certificate, middle.Issue("b").Certificate
	chain := []*x509.Certificate{below, middle.Certificate, root.Certificate}
	tests := []struct {
		name   string
		lists  []*RevocationList
		chains [][]*x509.Certificate
		want   string
	}{
		{"no list", nil, [][]*x509.Certificate{chain}, ""},
		{"empty list", []*RevocationList{revoking(root)}, [][]*x509.Certificate{chain}, ""},
		{"leaf", []*RevocationList{revoking(root, "2")}, [][]*x509.Certificate{{direct, root.Certificate}}, "was revoked on Monday: keyCompromise (clinic.crl)"},
		{"trusted leaf", []*RevocationList{revoking(root, "2")}, [][]*x509.Certificate{{direct}}, "was revoked on Monday: keyCompromise (clinic.crl)"},
		{"second list", []*RevocationList{revoking(root, "9"), revoking(root, "2")}, [][]*x509.Certificate{{direct, root.Certificate}}, "was revoked on Monday: keyCompromise (clinic.crl)"},
		{"another serial", []*RevocationList{revoking(root, "3", "02", "-2")}, [][]*x509.Certificate{{direct, root.Certificate}}, ""},
		{"namesake's", []*RevocationList{revoking(namesake, "2")}, [][]*x509.Certificate{{direct, root.Certificate}}, ""},
		{"CA above's", []*RevocationList{revoking(root, "2")}, [][]*x509.Certificate{chain}, ""},
		{"leaf of the CA below", []*RevocationList{revoking(middle, "2")}, [][]*x509.Certificate{chain}, "was revoked on Monday: keyCompromise (clinic.crl)"},
		{"CA in between", []*RevocationList{revoking(root, "7")}, [][]*x509.Certificate{chain}, `comes from the CA "CN=Root", whose certificate was revoked on Monday: keyCompromise (clinic.crl)`},
		{"one of two ways", []*RevocationList{revoking(root, "7")}, [][]*x509.Certificate{chain, {below, middle.Certificate}}, `comes from the CA "CN=Root", whose certificate was revoked on Monday: keyCompromise (clinic.crl)`},
		{"but another way", []*RevocationList{revoking(root, "7")}, [][]*x509.Certificate{chain, {below, root.Certificate}}, ""},
	}
	for _, tt := range tests {
		s := &settings{Settings: Settings{RevocationLists: tt.lists}}
		session := &tls.ConnectionState{PeerCertificates: tt.chains[0], VerifiedChains: tt.chains}
		got := ""
		if why := s.whyRevoked(session); why != nil {
			got = strings.TrimPrefix(why.Of(byPeer, "whose", "it").What, "it ")
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	// A pinned key alone counted.
	s := &settings{Settings: Settings{RevocationLists: []*RevocationList{revoking(root, "2")}}}
	if s.whyRevoked(&tls.ConnectionState{PeerCertificates: []*x509.Certificate{direct}}) == nil {
		t.Error("without a verified chain, nothing is revoked")
	}
}

// A revocation ends the live connections of the certificate at once, and no others. From then
// on the tunnel refuses the certificate, with a session ticket too.
func TestRevocationEndsConnections(t *testing.T) {
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			var settings Settings
			p := newPath(t, mode, func(s *Settings) {
				if mode == "server" {
					requireCert(s)
					s.Front.SetSessionTicketKeys([][32]byte{{1}}) // the same after Apply, which shouldn't matter
				} else {
					s.Targets[0].TLS.ClientSessionCache = tls.NewLRUClientSessionCache(1)
				}
				s.RevocationLists = []*RevocationList{revoking(testCA(), "3")}
				settings = *s
			})
			config := clientTLS()
			config.Certificates = []tls.Certificate{clientCert()}
			config.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			connect := func() (peer, target *end) {
				peer = mustDial(t, p.tunnels[0].addr)
				if mode == "server" {
					check(t, peer.secure(tls.Client, config))
				}
				target, err := p.accept()
				check(t, err, exchange(peer, target))
				t.Cleanup(func() { target.tcp.Close() })
				return peer, target
			}
			peer, target := connect()
			idle, _ := connect()

			unchanged, logs := complete(settings)
			p.tunnels[0].Apply(unchanged)
			check(t, exchange(peer, target))

			streaming := make(chan error, 1)
			go func() { streaming <- send(peer, 1<<40) }()
			check(t, receive(target, 10<<20))
			settings.RevocationLists = []*RevocationList{revoking(testCA(), "3"), revoking(testCA(), "2")}
			settings.Logger = unchanged.Logger
			revoked, _ := complete(settings)
			revoked.Logger = unchanged.Logger
			start := time.Now()
			p.tunnels[0].Apply(revoked)
			if err := <-streaming; err == nil {
				t.Error("the stream went on")
			}
			if _, err := idle.Read(make([]byte, 1)); err == nil {
				t.Error("the idle connection went on")
			}
			if took := time.Since(start); took > 4*time.Second { // a close_notify would take 5 s
				t.Errorf("took %v", took)
			}
			who := map[string]string{"server": "peer", "client": "target"}[mode]
			for i := range 2 { // the log of the peers that began with other settings
				p.tunnels[0].logs.expect(t, i, slog.LevelWarn, "connection interrupted", byTunnel, "the "+who+"'s "+revokedText)
			}

			if mode == "server" {
				refusedTLS(t, p.tunnels[0].addr, config)
				if rec := logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel, "the peer's "+revokedText); rec.text("identity") != "CN=modality-7" {
					t.Errorf("got %v", rec)
				}
				return
			}
			served := make(chan struct{})
			go func() {
				defer close(served)
				if target, err := p.accept(); err == nil {
					_ = receiveEnd(target)
					target.tcp.Close()
				}
			}()
			dialInVain(t, p.tunnels[0].addr)
			<-served
			logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel, "tlstunnel refused the target's certificate: it was revoked on Monday: keyCompromise (clinic.crl)")
		})
	}
}

// A connection was authorized before a revocation, and would begin to relay after it. The
// tunnel ends it.
func TestRevokedWhileDialling(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", requireCert)
	c := &conn{settings: p.tunnels[0].settings.Load(), front: newSide(closedSock(t), byPeer), back: newSide(closedSock(t), byTarget),
		session: &tls.ConnectionState{PeerCertificates: []*x509.Certificate{clientCert().Leaf}}}
	c.front.tls = new(tlsio.Conn)
	s, _ := complete(Settings{RevocationLists: []*RevocationList{revoking(testCA(), "2")}})
	p.tunnels[0].Apply(s)
	r := &relaying{conn: c}
	p.tunnels[0].register(c)
	p.tunnels[0].beginRelay(r)
	p.tunnels[0].unregister(c)
	if r.aborted == nil || r.aborted.What != "the peer's "+revokedText {
		t.Errorf("got %+v", r.aborted)
	}
}

// What the tunnel still makes of a list that is out of date.
func TestListOutOfDate(t *testing.T) {
	past, future := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	other := testkit.NewCA("Other CA")
	tests := []struct {
		name   string
		list   RevocationList
		refuse string
		warn   bool
	}{
		{"never", RevocationList{Issuer: testCA().Certificate, RefuseExpired: true}, "", false},
		{"not yet", RevocationList{Issuer: testCA().Certificate, NextUpdate: future, RefuseExpired: true}, "", false},
		{"refuse", RevocationList{Issuer: testCA().Certificate, NextUpdate: past, RefuseExpired: true},
			`the peer's certificate may have been revoked: the CRL old.crl of "CN=Clinic CA" has been out of date since ` + date.Time(past) + `; get a new one from the CA, or set crl_expired = "warn"`, false},
		{"warn", RevocationList{Issuer: testCA().Certificate, NextUpdate: past}, "", true},
		{"of another CA", RevocationList{Issuer: other.Certificate, NextUpdate: past, RefuseExpired: true}, "", false},
		{"revoked", RevocationList{Issuer: testCA().Certificate, NextUpdate: past, Revoked: revoking(testCA(), "2").Revoked},
			"the peer's certificate was revoked on Monday: keyCompromise (old.crl)", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			leakCheck(t)
			tt.list.Name = "old.crl"
			p := newPath(t, "server", func(s *Settings) {
				requireCert(s)
				s.RevocationLists = []*RevocationList{&tt.list}
			})
			config := clientTLS()
			config.Certificates = []tls.Certificate{clientCert()}
			if tt.refuse != "" {
				refusedTLS(t, p.tunnels[0].addr, config)
				p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel, tt.refuse)
				return
			}
			peer := mustDialTLS(t, p.tunnels[0].addr, config)
			target, err := p.accept()
			check(t, err, exchange(peer, target))
			peer.tcp.Close()
			target.tcp.Close()
			rec := p.tunnels[0].logs.next(t, 0)
			if warned := rec.message == "a CRL is out of date, get a new one from the CA: certificates that were revoked since are accepted"; warned != tt.warn {
				t.Errorf("got %v", rec)
			}
		})
	}
}

// closedSock is a connection that is closed.
func closedSock(t *testing.T) *sock.Conn {
	t.Helper()
	s := asSock(t, mustDial(t, listen(t).Addr().String()).tcp)
	s.Close()
	return s
}
