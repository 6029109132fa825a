package tunnel

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"tlstunnel/internal/sock"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func TestMain(m *testing.M) {
	raiseFileLimit()
	// What the runtime opens once, with the first socket, is no leak.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	l.Close()
	os.Exit(m.Run())
}

// leakCheck fails the test when at its end more goroutines or file descriptors
// are left than there are now. Call it first: its clean-up must be the last.
func leakCheck(t testing.TB) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		if !reached(func() bool { return runtime.NumGoroutine() <= goroutines && openFiles() <= files }) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Errorf("left behind: goroutines %d -> %d, files %d -> %d\n%s",
				goroutines, runtime.NumGoroutine(), files, openFiles(), stacks)
		}
	})
}

// atOnce wants something to take no longer than 100 ms. It has several tries,
// since a busy machine holds up any of them; what waits for a timeout, or does
// too much, is slow in all.
func atOnce(t *testing.T, what string, try func() (took time.Duration)) {
	t.Helper()
	var took time.Duration
	for range 10 {
		if took = try(); took <= 100*time.Millisecond || t.Failed() {
			return
		}
	}
	t.Errorf("%s took %v, and not much less in any other try", what, took)
}

// reached polls until condition holds, and reports whether it came to that.
func reached(condition func() bool) bool {
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			return false
		}
	}
	return true
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	if !reached(condition) {
		t.Fatalf("waited in vain: %s", what)
	}
}

// logs keeps log records for a test to read.
type logs struct {
	mu      sync.Mutex // guards what follows
	records []record
}

type record struct {
	level   slog.Level
	message string
	attrs   map[string]slog.Value
	time    time.Time
}

func (r record) String() string {
	keys := make([]string, 0, len(r.attrs))
	for k := range r.attrs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	s := r.level.String() + " " + r.message
	for _, k := range keys {
		s += fmt.Sprintf(" %s=%q", k, r.attrs[k].String())
	}
	return s
}

// text is the attribute key of r, "" when it has none.
func (r record) text(key string) string {
	if v, ok := r.attrs[key]; ok {
		return v.String()
	}
	return ""
}

// logHandler is a [slog.Handler] that adds to logs.
type logHandler struct {
	*logs
	with []slog.Attr
}

func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h logHandler) WithGroup(string) slog.Handler            { return h }
func (h logHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return logHandler{h.logs, append(slices.Clone(h.with), a...)}
}
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	kept := record{r.Level, r.Message, map[string]slog.Value{}, r.Time}
	for _, a := range h.with {
		kept.attrs[a.Key] = a.Value
	}
	r.Attrs(func(a slog.Attr) bool { kept.attrs[a.Key] = a.Value; return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, kept)
	return nil
}

func (l *logs) all() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

func (l *logs) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// wait returns the first n records, once there are so many.
func (l *logs) wait(t testing.TB, n int) []record {
	t.Helper()
	if !reached(func() bool { return l.count() >= n }) {
		t.Fatalf("waited for %d log records, got %v", n, l.all())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[:n:n]
}

// next returns the record after the n that are known.
func (l *logs) next(t testing.TB, n int) record {
	t.Helper()
	return l.wait(t, n+1)[n]
}

// expect waits for the n-th record, counted from 0, and compares it.
func (l *logs) expect(t testing.TB, n int, level slog.Level, message, endedBy, reason string) record {
	t.Helper()
	r := l.next(t, n)
	if r.level != level || r.message != message || r.text("ended_by") != endedBy || r.text("reason") != reason {
		t.Errorf("log record %d\n got %v\nwant %v %s ended_by=%q reason=%q", n, r, level, message, endedBy, reason)
	}
	return r
}

// running is a tunnel that serves on a loopback port until the test ends.
type running struct {
	*Tunnel
	addr string
	logs *logs
}

// complete fills in what the test leaves open.
func complete(s Settings) (Settings, *logs) {
	l := &logs{}
	s.Logger = slog.New(logHandler{logs: l})
	for _, d := range []*time.Duration{&s.HandshakeTimeout, &s.ConnectTimeout, &s.HalfCloseTimeout} {
		if *d == 0 {
			*d = patience
		}
	}
	return s, l
}

func start(t testing.TB, s Settings) *running {
	t.Helper()
	return startOn(t, listen(t), s)
}

func startOn(t testing.TB, l net.Listener, s Settings) *running {
	t.Helper()
	s, logs := complete(s)
	r := &running{New(s), l.Addr().String(), logs}
	r.strange.every, r.refusals.every, r.relayed.every = 0, 0, 0 // what a test does comes all from one address
	served := make(chan error, 1)
	go func() { served <- r.Serve(l) }()
	t.Cleanup(func() {
		_ = r.Shutdown(stopNow())
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
		if n := r.live.count(); n > 0 {
			t.Errorf("the tunnel knows of %d connections that have ended", n)
		}
	})
	return r
}

// stopNow is a context that gives a drain no time.
func stopNow() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

func listen(t testing.TB) *net.TCPListener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.(*net.TCPListener)
}

// end is what a program at either end of a tunnel holds: a plain connection, or
// TLS over it.
type end struct {
	stream
	tcp *net.TCPConn
}

func (e *end) reset() {
	_ = e.tcp.SetLinger(0)
	e.tcp.Close()
}

func dial(addr string) (*end, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return newEnd(c), nil
}

func newEnd(c net.Conn) *end {
	tcp := c.(*net.TCPConn)
	_ = tcp.SetDeadline(time.Now().Add(3 * patience))
	return &end{tcp, tcp}
}

// secure does the TLS handshake over a plain end.
func (e *end) secure(role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	c := role(e.tcp, config)
	if err := c.Handshake(); err != nil {
		return err
	}
	e.stream = c
	return nil
}

func mustDial(t testing.TB, addr string) *end {
	t.Helper()
	e, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.tcp.Close() })
	return e
}

// mustDialFrom dials from an address of this machine.
func mustDialFrom(t testing.TB, from, addr string) *end {
	t.Helper()
	e, err := dialFrom(from, addr)
	if err != nil {
		t.Skip(err) // not every system has all of 127.0.0.0/8
	}
	t.Cleanup(func() { e.tcp.Close() })
	return e
}

func dialFrom(from, addr string) (*end, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return newEnd(c), nil
}

// connect makes a connection over loopback. Ours is the end that was accepted.
func connect(t testing.TB) (theirs *end, ours *net.TCPConn) {
	t.Helper()
	l := listen(t)
	theirs = mustDial(t, l.Addr().String())
	accepted, err := l.Accept()
	check(t, err)
	t.Cleanup(func() { accepted.Close() })
	return theirs, accepted.(*net.TCPConn)
}

// asSock is c as a side has it.
func asSock(t testing.TB, c net.Conn) *sock.Conn {
	t.Helper()
	s, err := sock.New(c)
	check(t, err)
	return s
}

func mustDialTLS(t testing.TB, addr string, config *tls.Config) *end {
	t.Helper()
	e := mustDial(t, addr)
	if err := e.secure(tls.Client, config); err != nil {
		t.Fatal(err)
	}
	return e
}

// path is a way from a peer to a target: through a tunnel in server mode (the
// peer speaks TLS), in client mode (the target does), or one after the other
// (neither does).
type path struct {
	mode    string
	tunnels []*running // in the order in which the peer's bytes meet them
	target  *net.TCPListener
}

var modes = []string{"server", "client", "pair"}

func newPath(t testing.TB, mode string, edit func(*Settings)) *path {
	t.Helper()
	p := &path{mode: mode, target: listen(t)}
	next := p.target.Addr().String()
	add := func(s Settings) {
		if edit != nil {
			edit(&s)
		}
		r := start(t, s)
		p.tunnels = append([]*running{r}, p.tunnels...)
		next = r.addr
	}
	if mode != "client" {
		add(Settings{Name: "server", Front: serverTLS(), Targets: []Target{{Address: next}}})
	}
	if mode != "server" {
		add(Settings{Name: "client", Targets: []Target{{Address: next, TLS: clientTLS()}}})
	}
	return p
}

func (p *path) dial() (*end, error) {
	e, err := dial(p.tunnels[0].addr)
	if err == nil && p.mode == "server" {
		if err = e.secure(tls.Client, clientTLS()); err != nil {
			e.tcp.Close()
		}
	}
	return e, err
}

func (p *path) accept() (*end, error) {
	_ = p.target.SetDeadline(time.Now().Add(patience))
	c, err := p.target.Accept()
	if err != nil {
		return nil, err
	}
	e := newEnd(c)
	if p.mode == "client" {
		if err = e.secure(tls.Server, serverTLS()); err != nil {
			e.tcp.Close()
		}
	}
	return e, err
}

// open makes a connection and returns both of its ends.
func (p *path) open(t testing.TB) (peer, target *end) {
	t.Helper()
	peer, err := p.dial()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { peer.tcp.Close() })
	target, err = p.accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { target.tcp.Close() })
	return peer, target
}

// echo serves the path's target until the test ends: each connection gets its
// own bytes back.
func (p *path) echo(t testing.TB) {
	var running sync.WaitGroup
	running.Go(func() {
		for {
			e, err := p.accept()
			if errors.Is(err, net.ErrClosed) {
				return
			}
			if err != nil {
				continue
			}
			running.Go(func() {
				defer e.tcp.Close()
				_, _ = io.Copy(e, struct{ io.Reader }{e})
				_ = e.CloseWrite()
			})
		}
	})
	t.Cleanup(func() {
		p.target.Close()
		running.Wait()
	})
}

// noise is what is sent in tests. Its length is a prime, so that nothing can
// be lost, doubled or moved by a block without a difference.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1048583)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

// send writes the first n bytes of noise, repeated as often as need be.
func send(w io.Writer, n int64) error {
	b := noise()
	for at := int64(0); at < n; {
		i := at % int64(len(b))
		chunk := min(64<<10, int64(len(b))-i, n-at)
		wrote, err := w.Write(b[i : i+chunk])
		at += int64(wrote)
		if err != nil {
			return fmt.Errorf("sent %d of %d bytes: %w", at, n, err)
		}
	}
	return nil
}

// receive reads n bytes and compares them with those of send.
func receive(r io.Reader, n int64) error {
	b, buf := noise(), make([]byte, 64<<10)
	for at := int64(0); at < n; {
		i := at % int64(len(b))
		got, err := r.Read(buf[:min(int64(len(buf)), int64(len(b))-i, n-at)])
		if !bytes.Equal(buf[:got], b[i:i+int64(got)]) {
			return fmt.Errorf("other bytes than were sent, between %d and %d", at, at+int64(got))
		}
		at += int64(got)
		if err != nil && at < n {
			return fmt.Errorf("received %d of %d bytes: %w", at, n, err)
		}
	}
	return nil
}

// receiveAll is receive with an end of stream after it.
func receiveAll(r io.Reader, n int64) error {
	if err := receive(r, n); err != nil {
		return err
	}
	return receiveEnd(r)
}

func receiveEnd(r io.Reader) error {
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("got %d bytes and %v, want the end of stream", n, err)
	}
	return nil
}

// exchange says hello both ways.
func exchange(peer, target *end) error {
	for _, way := range []struct{ from, to *end }{{peer, target}, {target, peer}} {
		if err := send(way.from, 100); err != nil {
			return err
		}
		if err := receive(way.to, 100); err != nil {
			return err
		}
	}
	return nil
}

func check(t testing.TB, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// together runs all of them at once and returns their errors.
func together(all ...func() error) error {
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, f := range all {
		running.Go(func() { errs[i] = f() })
	}
	running.Wait()
	return errors.Join(errs...)
}

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(name string) *authority {
	key := newKey()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	return &authority{sign(template, template, key, key), key}
}

func newKey() *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey) *x509.Certificate {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// issue signs a leaf for server and client use; edit may change it first. The
// CA's certificate is part of what is returned.
func (a *authority) issue(name string, edit func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2),
		Subject:      pkix.Name{CommonName: name},
		DNSNames:     []string{name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(24 * time.Hour),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	key := newKey()
	leaf := sign(template, a.cert, key, a.key)
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// issueRSA is issue with an RSA key of so many bits.
func (a *authority) issueRSA(t testing.TB, name string, bits int) tls.Certificate {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, bits)
	check(t, err)
	template := a.issue(name, nil).Leaf
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	check(t, err)
	leaf, err := x509.ParseCertificate(der)
	check(t, err)
	return tls.Certificate{Certificate: [][]byte{der, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

// fingerprint is the SHA-256 of a certificate as people compare it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

const serverName = "pacs.clinic.example"

var (
	testCA     = sync.OnceValue(func() *authority { return newAuthority("Clinic CA") })
	serverCert = sync.OnceValue(func() tls.Certificate { return testCA().issue(serverName, nil) })
	clientCert = sync.OnceValue(func() tls.Certificate { return testCA().issue("modality-7", nil) })
)

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS12}
}

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: testCA().pool(), ServerName: serverName, MinVersion: tls.VersionTLS12}
}
