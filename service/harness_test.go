package service

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// What the tests of all packages share, under the names that it has here.
const waitTime = testkit.Patience

var (
	check    = testkit.Check
	freePort = testkit.FreePort
)

// subject is a service with a config file, a log and a PKI of its own.
type subject struct {
	*Service
	t    *testing.T
	file string
	log  *testkit.Log

	client tls.Certificate // from the own CA, once there is one
}

// startService calls prepare with the folder of the config, and then starts a service on the
// config text. It stops the service at the end of the test.
func startService(t *testing.T, text string, prepare ...func(dir string)) *subject {
	t.Helper()
	s := &subject{t: t, file: filepath.Join(t.TempDir(), "config.toml"), log: new(testkit.Log)}
	s.write(text)
	for _, p := range prepare {
		p(filepath.Dir(s.file))
	}
	cfg, problems, err := config.Load(s.file)
	if err == nil {
		err = problems.Err()
	}
	check(t, err)
	s.Service, err = Start(t.Context(), cfg, slog.New(slog.NewTextHandler(s.log, nil)))
	check(t, err)
	t.Cleanup(s.Stop)
	return s
}

// write makes text the config. It replaces the file, as an editor does.
func (s *subject) write(text string) {
	s.t.Helper()
	check(s.t, replaceFile(s.file, "pki.dir = 'pki'\n"+text))
}

func replaceFile(file, text string) error {
	if err := os.WriteFile(file+"~", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(file+"~", file)
}

// reload makes text the config and reloads.
func (s *subject) reload(text string) Changes {
	s.t.Helper()
	s.write(text)
	c, err := s.Reload(s.t.Context(), false)
	check(s.t, err)
	return c
}

// tlsConfig trusts the service's own CA, and shows a client certificate from it.
func (s *subject) tlsConfig() *tls.Config {
	s.t.Helper()
	store, err := pki.Open(filepath.Join(filepath.Dir(s.file), "pki"), time.Now())
	check(s.t, err)
	if s.client.Leaf == nil {
		s.client = openAuthority(s.t, store).issueClient()
	}
	pool := x509.NewCertPool()
	pool.AddCert(store.CA)
	return &tls.Config{RootCAs: pool, ServerName: "localhost", Certificates: []tls.Certificate{s.client}}
}

// dial connects to a server tunnel.
func (s *subject) dial(tunnel string, cfg *tls.Config) *tls.Conn {
	s.t.Helper()
	c, err := s.tryDial(tunnel, cfg)
	check(s.t, err)
	return c
}

func (s *subject) tryDial(tunnel string, cfg *tls.Config) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(s.t.Context(), waitTime)
	defer cancel()
	d := tls.Dialer{Config: cfg}
	c, err := d.DialContext(ctx, "tcp", s.Addr(tunnel).String())
	if err != nil {
		return nil, err
	}
	s.t.Cleanup(func() { c.Close() })
	return c.(*tls.Conn), c.SetDeadline(time.Now().Add(waitTime))
}

// answers reports whether a server tunnel listens at address. If it listens no more, another
// test may have got the port.
func (s *subject) answers(address string) bool {
	s.t.Helper()
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: time.Second}, Config: s.tlsConfig()}
	c, err := d.Dial("tcp", address)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// greeter is a target that sends a line with its name, and then sends back what it gets.
func greeter(t *testing.T, name string) string {
	t.Helper()
	return testkit.Serve(t, testkit.Listen(t), func(c net.Conn) {
		_, _ = io.WriteString(c, name+"\n")
		testkit.Echo(c)
	})
}

// speaker reads and writes lines.
type speaker struct {
	net.Conn
	lines *bufio.Reader
}

func speak(c net.Conn) speaker { return speaker{c, bufio.NewReader(c)} }

// expect reads a line.
func (s speaker) expect(t *testing.T, want string) {
	t.Helper()
	if got, err := s.lines.ReadString('\n'); got != want+"\n" {
		t.Fatalf("got %q, %v, want %q", got, err, want)
	}
}

// echo sends a line and expects it back.
func (s speaker) echo(t *testing.T, line string) {
	t.Helper()
	_, err := io.WriteString(s, line+"\n")
	check(t, err)
	s.expect(t, line)
}

// usage is what a service must not use more and more of.
type usage struct {
	goroutines, files int
	heap              uint64
}

// measure waits until what is about to end has ended, and then takes the usage.
func measure(t *testing.T) usage {
	t.Helper()
	var u usage
	for range 3 { // finalizers need more than one
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap, u.goroutines, u.files = m.HeapAlloc, runtime.NumGoroutine(), testkit.OpenFiles()
	return u
}
