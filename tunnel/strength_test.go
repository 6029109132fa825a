package tunnel

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/asn1"
	"log/slog"
	"math/big"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestWeakKeys: both sides demand the same strength of every verified key as pins do of
// theirs.
func TestWeakKeys(t *testing.T) {
	leakCheck(t)
	weak, strong := testCA().IssueFor(testkit.RSAKey(1024), serverName).TLS(), testCA().IssueFor(testkit.RSAKey(2048), serverName).TLS()
	oldCA := testkit.NewCAFor(testkit.RSAKey(1024), "Old CA") // its certificates are good, only its own key is weak
	roots := testCA().Pool()
	roots.AddCert(oldCA.Certificate)
	for _, tt := range []struct {
		name   string
		shows  tls.Certificate
		reason string // "": it is taken
	}{
		{"2048", strong, ""},
		{"1024", weak, `"CN=pacs.clinic.example" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
		{"CA with 1024", oldCA.IssueFor(serverCert().PrivateKey, serverName).TLS(), `"CN=Old CA" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
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

func certOf(public any) []byte { return testCA().IssueFor(public, serverName).Raw }

// certOfX25519 is a certificate of a key that can't sign. x509 doesn't make such a
// certificate, so this is an Ed25519 one with another object identifier.
func certOfX25519(t *testing.T) []byte {
	t.Helper()
	var cert struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	_, err := asn1.Unmarshal(certOf(make(ed25519.PublicKey, ed25519.PublicKeySize)), &cert)
	check(t, err)
	tbs := bytes.Replace(cert.TBS.FullBytes, []byte{6, 3, 43, 101, 112}, []byte{6, 3, 43, 101, 110}, 1)
	digest := sha256.Sum256(tbs)
	signature, err := testCA().Key.Sign(rand.Reader, digest[:], crypto.SHA256)
	check(t, err)
	cert.TBS.FullBytes, cert.Signature = tbs, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	der, err := asn1.Marshal(cert)
	check(t, err)
	return der
}

// TestKeysThatTLSDoesNotTake: crypto/tls refuses some keys before it verifies the
// certificate's signature. The log says that the key is the reason.
func TestKeysThatTLSDoesNotTake(t *testing.T) {
	leakCheck(t)
	large := &rsa.PublicKey{N: new(big.Int).SetBit(big.NewInt(1), 8200, 1), E: 65537}
	for name, der := range map[string][]byte{"X25519": certOfX25519(t), "RSA with 8201 bits": certOf(large)} {
		pair := testCA().Issue(serverName).TLS()
		pair.Certificate[0], pair.Leaf = der, nil // the handshake fails before the private key matters
		reason := func(who string) string {
			return "the " + who + "'s certificate can't be used: it has a key of a kind or size that isn't supported; it needs one with an RSA key of at most 8192 bits, or an ECDSA or Ed25519 key"
		}
		t.Run("peer with "+name, func(t *testing.T) {
			p := newPath(t, "server", requireCert)
			config := clientTLS()
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
			refusedTLS(t, p.tunnels[0].addr, config)
			p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "handshake failed", byTunnel, reason("peer"))
		})
		t.Run("target with "+name, func(t *testing.T) {
			p := newPath(t, "client", nil)
			mustDial(t, p.tunnels[0].addr)
			accepted, err := p.target.Accept()
			check(t, err)
			target := newEnd(accepted)
			defer target.tcp.Close()
			config := serverTLS()
			config.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &pair, nil }
			config.Certificates = nil
			_ = target.secure(tls.Server, config)
			p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel, reason("target"))
		})
	}
}
