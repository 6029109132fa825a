package service

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// dialler connects again and again with the roots that it has, and shows a certificate.
type dialler struct {
	name string
	cfg  *tls.Config
	stop chan struct{}

	mu       sync.Mutex
	done     int
	failures []error
}

func (s *subject) keepDialling(wg *sync.WaitGroup, name string, cert tls.Certificate, roots ...*x509.Certificate) *dialler {
	pool := x509.NewCertPool()
	for _, root := range roots {
		pool.AddCert(root)
	}
	d := &dialler{name: name, cfg: &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{cert}}, stop: make(chan struct{})}
	address := s.Addr("pacs").String()
	wg.Go(func() { d.run(address) })
	return d
}

func (d *dialler) run(address string) {
	for {
		select {
		case <-d.stop:
			return
		default:
		}
		err := d.once(address)
		d.mu.Lock()
		d.done++
		if err != nil {
			d.failures = append(d.failures, err)
		}
		d.mu.Unlock()
	}
}

// once reads the target's greeting. A TLS 1.3 client learns only by a read that its
// certificate was accepted.
func (d *dialler) once(address string) error {
	c, err := tls.Dial("tcp", address, d.cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Read(make([]byte, 1))
	return err
}

// connects waits for n more connections, none of which may fail.
func (d *dialler) connects(t *testing.T, n int) {
	t.Helper()
	d.mu.Lock()
	want := d.done + n
	d.mu.Unlock()
	testkit.Eventually(t, fmt.Sprintf("%s: %d connections", d.name, n), func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		if len(d.failures) > 0 {
			t.Fatalf("%s: connection failed: %v", d.name, d.failures[0])
		}
		return d.done >= want
	})
}

// TestRotationWithoutFailure rotates the CA of a running service. Meanwhile three clients
// connect again and again: one that trusts the old CA, one that trusts the new, and one that
// trusts both.
func TestRotationWithoutFailure(t *testing.T) {
	s := startService(t, `[[tunnel]]
name = "pacs"
mode = "server"
listen = "127.0.0.1:0"
target = "`+greeter(t, "pacs")+`"
client_auth = "require"
`)
	dir := filepath.Join(filepath.Dir(s.file), "pki")
	before, err := pki.Open(dir, time.Now())
	check(t, err)
	var wg sync.WaitGroup
	defer wg.Wait()
	client := s.tlsConfig().Certificates[0]
	a := s.keepDialling(&wg, "old client", client, before.CA)
	stopA := sync.OnceFunc(func() { close(a.stop) })
	defer stopA()
	open := speak(s.dial("pacs", a.cfg))
	open.expect(t, "pacs")
	a.connects(t, 5)

	_, err = ownpki.Rotate(t.Context(), s.cfg, pki.Rotate)
	check(t, err)
	check(t, s.refresh(t.Context(), "test"))
	during, err := pki.Open(dir, time.Now())
	check(t, err)
	b := s.keepDialling(&wg, "new client", client, during.Next)
	defer close(b.stop)
	c := s.keepDialling(&wg, "client with both", client, before.CA, during.Next)
	defer close(c.stop)
	for _, d := range []*dialler{a, b, c} {
		d.connects(t, 10)
	}
	check(t, s.refresh(t.Context(), "test"))
	for _, d := range []*dialler{a, b, c} {
		d.connects(t, 5)
	}
	stopA()

	_, err = ownpki.Rotate(t.Context(), s.cfg, pki.FinishRotation)
	check(t, err)
	check(t, s.refresh(t.Context(), "test"))
	for _, d := range []*dialler{b, c} {
		d.connects(t, 10)
	}
	if err := a.once(s.Addr("pacs").String()); err == nil {
		t.Error("a client that trusts only the old CA still connects: the new certificate isn't in use")
	}
	open.echo(t, "still open")
	if st := s.Status(); st.CA == nil || st.CA.Next != "" || !st.CA.Expires.Equal(during.Next.NotAfter) {
		t.Errorf("status: got %+v", st.CA)
	}
}
