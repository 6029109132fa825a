package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
)

// A target accepts only keys of another kind than ours.
func TestClientCertificateOfAnotherKind(t *testing.T) {
	asked := &tls.CertificateRequestInfo{SignatureSchemes: []tls.SignatureScheme{tls.PSSWithSHA256}, Version: tls.VersionTLS13}
	got := Unsent(asked, &tls.Config{Certificates: []tls.Certificate{clientCert()}}).String()
	want := "the target wants a client certificate, but doesn't take one with an ECDSA key, as ours is, so it wasn't sent: set cert and key to one with an RSA key"
	if got != want {
		t.Errorf("\ngot  %s\nwant %s", got, want)
	}
}

// If a device knows only one kind of certificate, the reason names that kind, not numbers.
func TestOneKindOfKey(t *testing.T) {
	const ecdsaSuite, rsaSuite = tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256
	const rsaWanted = "the peer takes only certificates with an RSA key, and this tunnel's has an ECDSA key: set cert and key to one with an RSA key, from a CA whose key is RSA too; it offers the cipher suites "
	const ecdsaWanted = "the peer takes only certificates with an ECDSA or Ed25519 key, and this tunnel's has an RSA key: set cert and key to one with an ECDSA or Ed25519 key, from a CA whose key is ECDSA or Ed25519 too; it offers the cipher suites "
	for _, test := range []struct {
		name string
		cert tls.Certificate
		send func(*tls.ClientHelloInfo)
		want string
	}{
		{"TLS 1.2, suites", serverCert(), func(h *tls.ClientHelloInfo) { h.CipherSuites = []uint16{rsaSuite, 0x00ff} }, rsaWanted + "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, "},
		{"TLS 1.2, one old suite", serverCert(), func(h *tls.ClientHelloInfo) { h.CipherSuites = []uint16{0xc014, 0x00ff}; h.SignatureSchemes = nil }, rsaWanted + "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA, "},
		{"TLS 1.2, signatures", serverCert(), func(h *tls.ClientHelloInfo) { h.SignatureSchemes = []tls.SignatureScheme{tls.PKCS1WithSHA256} }, rsaWanted},
		{"TLS 1.3", serverCert(), func(h *tls.ClientHelloInfo) {
			h.SupportedVersions = []uint16{tls.VersionTLS13}
			h.SignatureSchemes = []tls.SignatureScheme{tls.PSSWithSHA256, tls.PKCS1WithSHA256}
		}, rsaWanted},
		{"the other way round", testkit.NewCAFor(testkit.RSAKey(2048), "RSA CA").IssueFor(testkit.RSAKey(2048), serverName).TLS(), func(h *tls.ClientHelloInfo) { h.CipherSuites = []uint16{ecdsaSuite}; h.SignatureSchemes = nil }, ecdsaWanted},
		{"suites that we don't have, such as DHE", serverCert(), func(h *tls.ClientHelloInfo) { h.CipherSuites = []uint16{0x0033, 0x0039} }, "the peer has no cipher suite or key exchange in common with this tunnel's profile: it offers the cipher suites 0x0033, 0x0039, the groups X25519, the signatures "},
	} {
		t.Run(test.name, func(t *testing.T) {
			hello := &tls.ClientHelloInfo{
				SupportedVersions: []uint16{tls.VersionTLS12}, CipherSuites: []uint16{ecdsaSuite, rsaSuite}, SupportedCurves: []tls.CurveID{tls.X25519},
				SignatureSchemes: []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.PKCS1WithSHA256},
			}
			test.send(hello)
			config := &tls.Config{Certificates: []tls.Certificate{test.cert}}
			h := &Handshake{Side: Peer, Config: config, Hello: hello}
			if got := h.nothingInCommon("").String(); !strings.HasPrefix(got, test.want) {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
		})
	}
}

// If our certificate is refused, a fault that our own file shows comes first.
func TestOurCertificateIsRefused(t *testing.T) {
	root := testkit.NewCA("Old CA")
	issuing := root.Issue("Issuing 1", testkit.AsCA)
	serverOnly := issuing.Issue("modality-7", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }).TLS()
	both := issuing.Issue("modality-7").TLS()
	both.Certificate = append(both.Certificate, testCA().Raw)
	alone := issuing.Issue("modality-7").TLS()
	alone.Certificate = alone.Certificate[:1]
	const refused = "the target refused tlstunnel's certificate: "
	theirs := `it doesn't trust the CA "CN=Old CA" (SHA-256 ` + dn.Fingerprint(root.Certificate) + "); give it that CA's certificate"
	for _, test := range []struct {
		name  string
		shown tls.Certificate
		alert byte
		want  string
	}{
		{"for servers only", serverOnly, 43, `"CN=modality-7" isn't meant for TLS clients, but for TLS server (extended key usage): have one issued with the extended usage "TLS client"`},
		{"for servers only, of Go", serverOnly, 42, `"CN=modality-7" isn't meant for TLS clients, but for TLS server (extended key usage): have one issued with the extended usage "TLS client"`},
		{"its CA is unknown", both, 48, theirs},
		{"its CA is unknown, and not in the file", alone, 48, fmt.Sprintf(`it doesn't trust the CA "CN=Issuing 1" (key id %x), whose own certificate isn't in the chain; give it that CA's certificate, or, if it has the CA above that one, add it to the file of cert here`, issuing.SubjectKeyId)},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := &Handshake{Side: Target, Config: &tls.Config{Certificates: []tls.Certificate{test.shown}}}
			if got := h.alert(tls.AlertError(test.alert)).String(); got != refused+test.want {
				t.Errorf("\ngot  %s\nwant %s", got, refused+test.want)
			}
		})
	}
}

// Every alert has a reason.
func TestEveryAlert(t *testing.T) {
	unsent := Unsent(new(tls.CertificateRequestInfo), new(tls.Config))
	for _, side := range []string{Peer, Target} {
		for code := range 256 {
			for _, h := range []*Handshake{{Config: serverTLS()}, {Config: clientTLS()}, {Config: clientTLS(), Unsent: unsent}} {
				h.Side = side
				err := &net.OpError{Op: "remote error", Err: tls.AlertError(code)}
				if d := h.Explain(err); d.What == "" || d.Side() != side && h.Unsent == nil || d.Level != slog.LevelWarn {
					t.Errorf("%s, alert %d: %+v", side, code, d)
				}
			}
		}
	}
}

func TestServerNameOf(t *testing.T) {
	hello := clientHello(clientTLS())
	if got := serverNameOf(hello); got != serverName {
		t.Errorf("got the name %q", got)
	}
	for n := range len(hello) { // wherever it is cut, it gives no name or all of it
		if got := serverNameOf(hello[:n]); got != "" && got != serverName {
			t.Fatalf("got the name %q of %d bytes", got, n)
		}
	}
}
