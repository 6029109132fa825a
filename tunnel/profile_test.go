package tunnel

import (
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"

	"tlstunnel/internal/strength"
	"tlstunnel/internal/testkit"
)

// windows2012R2 are the suites of TLS 1.2 that Windows Server 2012 R2 offers and crypto/tls
// knows, for certificates with an RSA key.
var windows2012R2 = []uint16{
	tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
}

// TestProfiles makes a handshake with each suite of TLS 1.2 and with each version, in both
// modes, and checks which profiles accept it.
func TestProfiles(t *testing.T) {
	leakCheck(t)
	ecdsaCert, rsaCert := serverCert(), testCA().IssueFor(testkit.RSAKey(2048), serverName).TLS()
	type peer struct {
		name    string
		config  *tls.Config
		profile map[string]bool
	}
	old := map[string]bool{"legacy": true}
	all := map[string]bool{"modern": true, "default": true, "legacy": true}
	peers := []peer{
		{"TLS 1.0", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}, nil},
		{"TLS 1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, nil},
		{"TLS 1.3", &tls.Config{MinVersion: tls.VersionTLS13}, all},
		{"RC4", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA, tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}}, nil},
		{"3DES", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_3DES_EDE_CBC_SHA}}, old},
		{"RSA key exchange", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_256_GCM_SHA384}}, old},
		{"Windows Server 2012 R2", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: windows2012R2}, old},
	}
	for _, suite := range strength.Suites {
		peers = append(peers, peer{tls.CipherSuiteName(suite), &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}},
			map[string]bool{"default": true, "legacy": true}})
	}
	for _, profile := range []string{"modern", "default", "legacy", "a typo"} {
		for _, p := range peers {
			ours, theirs := serverTLS(), p.config.Clone()
			if !strings.Contains(p.name, "_ECDSA_") {
				ours.Certificates[0] = rsaCert
			} else {
				ours.Certificates[0] = ecdsaCert
			}
			SetProfile(ours, profile)
			theirs.RootCAs, theirs.ServerName = testCA().Pool(), serverName
			want := p.profile[profile] || profile == "a typo" && p.profile["modern"]
			if err := handshake(t, ours, theirs); (err == nil) != want {
				t.Errorf("server with %s, %s: got %v", profile, p.name, err)
			}
			theirs.Certificates = ours.Certificates
			ours = clientTLS()
			SetProfile(ours, profile)
			if err := handshake(t, theirs, ours); (err == nil) != want {
				t.Errorf("client with %s, %s: got %v", profile, p.name, err)
			}
		}
	}
}

func handshake(t *testing.T, server, client *tls.Config) error {
	t.Helper()
	theirs, ours := connect(t)
	defer theirs.tcp.Close()
	defer ours.Close()
	return together(
		func() error { return closing(newEnd(ours), tls.Server, server) },
		func() error { return closing(theirs, tls.Client, client) })
}

// closing makes a handshake, and closes the connection if that fails, so that the other side
// learns of it.
func closing(e *end, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	err := e.secure(role, config)
	if err != nil {
		return errors.Join(err, e.tcp.CloseWrite())
	}
	return nil
}

// TestPeerForLegacy: if a config key would let an old peer in, the log names that key.
func TestPeerForLegacy(t *testing.T) {
	leakCheck(t)
	rsaCert := testCA().IssueFor(testkit.RSAKey(2048), serverName).TLS()
	const remedy, rsaToo = `set profile = "legacy"`, "certificate with an RSA key"
	for _, tt := range []struct {
		name    string
		profile string
		rsa     bool
		offers  []uint16
		want    string
		not     string
	}{
		{"RSA", "default", true, windows2012R2, remedy, rsaToo},
		{"its names", "default", true, windows2012R2, "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, ", rsaToo},
		{"RSA alone, and ours is ECDSA", "default", false, windows2012R2, remedy, "\x00"},
		{"RSA alone, and ours is ECDSA: both", "default", false, windows2012R2, rsaToo, "\x00"},
		{"CBC at ECDSA", "default", false, []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}, remedy, rsaToo},
		{"a good suite, but of another key", "default", false, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA}, "the peer", "legacy"},
		{"RC4", "default", true, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}, "the peer", "legacy"},
		{"legacy already", "legacy", true, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}, "the peer", `"legacy"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPath(t, "server", func(s *Settings) {
				SetProfile(s.Front, tt.profile)
				if tt.rsa {
					s.Front.Certificates[0] = rsaCert
				}
			})
			peer := mustDial(t, p.tunnels[0].addr)
			config := clientTLS()
			config.MaxVersion, config.CipherSuites = tls.VersionTLS12, tt.offers
			if err := peer.secure(tls.Client, config); err == nil {
				t.Fatal("the peer was let in")
			}
			reason := p.tunnels[0].logs.next(t, 0).text("reason")
			if !strings.Contains(reason, tt.want) || strings.Contains(reason, tt.not) {
				t.Error(reason)
			}
		})
	}
}

// TestTargetForLegacy: a target says only that the two sides have nothing in common.
func TestTargetForLegacy(t *testing.T) {
	leakCheck(t)
	for profile, want := range map[string]bool{"default": true, "legacy": false} {
		p := newPath(t, "client", func(s *Settings) { SetProfile(s.Targets[0].TLS, profile) })
		mustDial(t, p.tunnels[0].addr)
		accepted, err := p.target.Accept()
		check(t, err)
		config := serverTLS()
		config.MaxVersion, config.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_RC4_128_SHA}
		if closing(newEnd(accepted), tls.Server, config) == nil {
			t.Error("the target was taken")
		}
		accepted.Close()
		if reason := p.tunnels[0].logs.next(t, 0).text("reason"); strings.Contains(reason, `set profile = "legacy"`) != want {
			t.Errorf("%s: %s", profile, reason)
		}
	}
}
