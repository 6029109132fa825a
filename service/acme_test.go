package service

import (
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestACMEHeld: a CA that has had too many requests isn't asked again before the
// time that it names, not by a reload either. Until there is a certificate, nobody
// gets in, and the status says why.
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
	s.log.await(t, msgACMEFailed)
	if c := s.reload(text); len(c.Unchanged) != 1 {
		t.Errorf("got %+v", c)
	}
	if _, err := s.tryDial("a", s.tlsConfig()); err == nil {
		t.Error("got in without a certificate")
	}
	s.log.await(t, errNoCertificate.Error())
	got := s.Status().Tunnels[0].ACME
	if got == nil || !strings.Contains(got.Failure, `the CA says "too many" (429 rateLimited)`) || time.Until(got.Next) < time.Hour {
		t.Errorf("got %+v", got)
	}
	if n := asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}
