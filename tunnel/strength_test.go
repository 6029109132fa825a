package tunnel

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"testing"
)

// weakAuthority is a CA whose certificates are good, but for its own key of 1,024 bits.
func weakAuthority(t *testing.T, issued tls.Certificate) (ca *x509.Certificate, pair tls.Certificate) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	check(t, err)
	template := newAuthority("Old CA").cert
	make := func(template, parent *x509.Certificate, public any) *x509.Certificate {
		der, err := x509.CreateCertificate(rand.Reader, template, parent, public, key)
		check(t, err)
		cert, err := x509.ParseCertificate(der)
		check(t, err)
		return cert
	}
	template.PublicKey, template.SignatureAlgorithm = nil, 0
	ca = make(template, template, &key.PublicKey)
	leafTemplate := *issued.Leaf
	leafTemplate.SignatureAlgorithm = 0
	leaf := make(&leafTemplate, ca, issued.Leaf.PublicKey)
	return ca, tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Raw}, PrivateKey: issued.PrivateKey, Leaf: leaf}
}

// TestWeakKeys: what pins demand of a key, both sides demand of all that is verified.
func TestWeakKeys(t *testing.T) {
	leakCheck(t)
	weak, strong := testCA().issueRSA(t, serverName, 1024), testCA().issueRSA(t, serverName, 2048)
	oldCA, ofOldCA := weakAuthority(t, serverCert())
	roots := testCA().pool()
	roots.AddCert(oldCA)
	for _, tt := range []struct {
		name   string
		shows  tls.Certificate
		reason string // "": it is taken
	}{
		{"2048", strong, ""},
		{"1024", weak, `"CN=pacs.clinic.example" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
		{"CA with 1024", ofOldCA, `"CN=Old CA" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
	} {
		t.Run("peer with "+tt.name, func(t *testing.T) {
			p := newPath(t, "server", func(s *Settings) {
				s.Front.ClientAuth, s.Front.ClientCAs = tls.RequireAndVerifyClientCert, roots
			})
			config := clientTLS()
			config.Certificates = []tls.Certificate{tt.shows}
			if tt.reason == "" {
				peer := mustDialTLS(t, p.tunnels[0].addr, config)
				target, err := p.accept()
				check(t, err, exchange(peer, target))
				target.tcp.Close()
				return
			}
			refusedTLS(t, p.tunnels[0].addr, config)
			p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "handshake failed", byTunnel, "tlstunnel refused the peer's certificate: "+tt.reason)
		})
		t.Run("target with "+tt.name, func(t *testing.T) {
			p := newPath(t, "client", func(s *Settings) { s.Targets[0].TLS.RootCAs = roots })
			peer := mustDial(t, p.tunnels[0].addr)
			accepted, err := p.target.Accept()
			check(t, err)
			target := newEnd(accepted)
			defer target.tcp.Close()
			config := serverTLS()
			config.Certificates[0] = tt.shows
			err = target.secure(tls.Server, config)
			if tt.reason == "" {
				check(t, err, exchange(peer, target))
				return
			}
			p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel, "tlstunnel refused the target's certificate: "+tt.reason)
		})
	}
}
