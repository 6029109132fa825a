package service

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
	"tlstunnel/pki/acme"
	"tlstunnel/service/compile"
)

// TestACMEHeld: a CA has had too many requests. The service doesn't ask it again before the
// time that the CA names, not even after a reload. Until there is a certificate, the tunnel
// lets no peer in, and the status says why.
func TestACMEHeld(t *testing.T) {
	var asked atomic.Int64
	ca := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Retry-After", "7200")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusTooManyRequests)
		fmt.Fprint(w, `{"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}`)
	}))
	t.Cleanup(ca.Close)
	text := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), fmt.Sprintf("acme = { directory = %q, directory_ca = 'root.crt', domains = 'localhost' }", ca.URL))
	s := startService(t, text, func(dir string) {
		data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw})
		check(t, replaceFile(filepath.Join(dir, "root.crt"), string(data)))
	})
	s.log.Await(t, acme.MsgFailed)
	if c := s.reload(text); len(c.Unchanged) != 1 {
		t.Errorf("got %+v", c)
	}
	if _, err := s.tryDial("a", s.tlsConfig()); err == nil {
		t.Error("got in without a certificate")
	}
	s.log.Await(t, acme.ErrNone.Error())
	got := s.Status().Tunnels[0].ACME
	if got == nil || !strings.Contains(got.Failure, `the CA says "too many" (429 rateLimited)`) || time.Until(got.Next) < time.Hour {
		t.Errorf("got %+v", got)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// TestACMEKeepsExpired: a start shows an expired certificate until there is another, because
// the peer may accept it.
func TestACMEKeepsExpired(t *testing.T) {
	began := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	cfg := load(t, serverTunnel("a", "127.0.0.1:1", "127.0.0.1:9", "acme = { directory = 'https://ca.example/dir', domains = 'pacs.clinic.example' }"))
	cfg.PKI.Dir = t.TempDir()
	putCertificate(t, compile.ACME(cfg, cfg.Tunnels[0].ACME).CertFile(), began, began.Add(3*time.Hour), "pacs.clinic.example")
	for _, at := range []time.Duration{time.Hour, 4 * time.Hour, -10000 * time.Hour} {
		tunnels, problems := compile.Tunnels(cfg, nil, began.Add(at))
		cert := tunnels[0].ACME.Certificate()
		if cert == nil || problems.Err() != nil || (len(problems) > 0) != (at != time.Hour) {
			t.Errorf("%v: got %v, problems %v", at, cert, problems)
		}
	}
}

// putCertificate makes the file that an order makes.
func putCertificate(t *testing.T, file string, begin, end time.Time, name string) {
	t.Helper()
	cert := testkit.Sign(&x509.Certificate{NotBefore: begin, NotAfter: end, DNSNames: []string{name}}, testkit.NewKey(), nil)
	check(t, os.MkdirAll(filepath.Dir(file), 0o700))
	testkit.WriteFile(t, file, append(cert.KeyPEM(), cert.PEM()...))
}
