package service

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
	"tlstunnel/service/compile"
)

// authority is a CA that isn't the service's own, such as the PKI of another machine.
type authority struct {
	t     *testing.T
	store *pki.Store
	key   tls.Certificate
}

func newAuthority(t *testing.T, dir, organization string) *authority {
	t.Helper()
	store, _, err := pki.Ensure(t.Context(), pki.Settings{
		Dir: dir, KeyType: "ecdsa-p256", CAValidity: 24 * time.Hour, CertValidity: time.Hour,
		Subject: dn.Subject{Organization: organization},
	}, time.Now())
	check(t, err)
	return openAuthority(t, store)
}

func openAuthority(t *testing.T, store *pki.Store) *authority {
	t.Helper()
	key, err := tls.LoadX509KeyPair(filepath.Join(store.Dir, "ca.crt"), filepath.Join(store.Dir, "ca.key"))
	check(t, err)
	return &authority{t, store, key}
}

// issueClient makes a client certificate. Its chain is the leaf alone.
func (a *authority) issueClient() tls.Certificate {
	a.t.Helper()
	ca := &testkit.Cert{Certificate: a.key.Leaf, Key: a.key.PrivateKey.(crypto.Signer)}
	cert := ca.Issue("modality-7", func(c *x509.Certificate) {
		c.SerialNumber, c.DNSNames = big.NewInt(7), []string{"localhost"}
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}).TLS()
	cert.Certificate = cert.Certificate[:1]
	return cert
}

// revoke writes a list to file that revokes certs and is valid for so long.
func (a *authority) revoke(file string, good time.Duration, certs ...*x509.Certificate) {
	a.t.Helper()
	list := &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now().Add(-24 * time.Hour), NextUpdate: time.Now().Add(good)}
	for _, cert := range certs {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries,
			x509.RevocationListEntry{SerialNumber: cert.SerialNumber, RevocationTime: time.Now(), ReasonCode: 1})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, a.key.Leaf, a.key.PrivateKey.(crypto.Signer))
	check(a.t, err)
	check(a.t, replaceFile(file, string(pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der}))))
}

// supervised runs the goroutine that reacts to changes of files.
func (s *subject) supervised() {
	ctx, cancel := context.WithCancel(s.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.supervise(ctx, nil, nil) }()
	s.t.Cleanup(func() {
		cancel()
		check(s.t, <-ended)
	})
}

// refused dials and expects to read nothing.
func (s *subject) refused(tunnel string, cfg *tls.Config) {
	s.t.Helper()
	c, err := s.tryDial(tunnel, cfg)
	if err == nil {
		_, err = c.Read(make([]byte, 1))
	}
	if err == nil {
		s.t.Error("the connection was let in")
	}
}

const requireOwn = "client_auth = 'require'"

// TestRevocation: our own CA revokes a certificate. Within a second of the refresh, the
// certificate loses its live connection, even if that streams. It gets no other connection,
// not by its session ticket either. Other certificates aren't affected.
func TestRevocation(t *testing.T) {
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn)+serverTunnel("b", "127.0.0.1:0", greeter(t, "two"), ""))
	trusted := s.tlsConfig()
	trusted.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	own := openAuthority(t, s.openPKI())
	crl := pki.OwnCRL(own.store.Dir)

	check(t, s.refresh(t.Context(), "test"))
	other := speak(s.dial("b", s.tlsConfig()))
	other.expect(t, "two")
	streaming := s.dial("a", trusted)
	speak(streaming).expect(t, "one")
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(streaming, endless{})
		ended <- err
	}()
	go func() { _, _ = io.Copy(io.Discard, streaming) }()

	own.revoke(crl, time.Hour)
	check(t, s.refresh(t.Context(), "test")) // an empty list ends nothing
	second := s.dial("a", trusted)
	speak(second).expect(t, "one")

	own.revoke(crl, time.Hour, s.client.Leaf)
	start := time.Now()
	check(t, s.refresh(t.Context(), "test"))
	<-ended
	if took := time.Since(start); took > 4*time.Second { // a close_notify would take 5 s
		t.Errorf("the stream went on for %v", took)
	}
	s.log.AwaitCount(t, `level=WARN msg="connection interrupted" tunnel=a`, 2)
	s.log.Await(t, ` ended_by=tlstunnel reason="the peer's certificate was revoked on `)
	s.log.Await(t, ": keyCompromise (")
	s.log.Await(t, filepath.Base(crl)+`)"`) // the log escapes the backslashes of a Windows path

	s.refused("a", trusted)
	s.log.Await(t, `msg="connection refused" tunnel=a`)
	_, line, _ := strings.Cut(s.log.String(), `msg="connection refused" tunnel=a`)
	if !strings.Contains(line, "resumed=false") {
		t.Errorf("the ticket isn't dead: %s", line)
	}
	other.echo(t, "still here")

	// A damaged list changes nothing: a revoked certificate stays revoked.
	check(t, replaceFile(crl, "damaged"))
	if err := s.refresh(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "has no PEM in it") {
		t.Errorf("got %v", err)
	}
	s.log.Await(t, `level=ERROR msg="not all files could be read anew" cause=test`)
	s.refused("a", trusted)
	if problems := compile.Check(s.cfg, time.Now()); problems.Err() == nil || !strings.Contains(problems.Err().Error(), strconv.Quote(crl)) {
		t.Errorf("check says %v", problems)
	}
}

// TestRevocationIsWatched: the service reads a CRL anew when it changes, even if watch is
// false, and even if there was none before.
func TestRevocationIsWatched(t *testing.T) {
	t.Parallel()
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	s.supervised()
	own := openAuthority(t, s.openPKI())
	c := speak(s.dial("a", s.tlsConfig()))
	c.expect(t, "one")
	own.revoke(pki.OwnCRL(own.store.Dir), time.Hour, s.client.Leaf)
	s.log.Await(t, `msg="connection interrupted" tunnel=a`)
	s.log.Await(t, `msg="files read anew" cause="CRL changed" changed=[a]`)
}

// TestCRLsOf: the service watches the lists that it reads, each file once.
func TestCRLsOf(t *testing.T) {
	const more = requireOwn + "\nclient_ca = ['own', 'foreign.crt']\ncrl = 'foreign.crl'"
	cfg := load(t, serverTunnel("a", "127.0.0.1:1", "127.0.0.1:9", more)+serverTunnel("b", "127.0.0.1:2", "127.0.0.1:9", more))
	dir := filepath.Dir(cfg.File)
	want := []string{filepath.Join(dir, "foreign.crl"), pki.OwnCRL(filepath.Join(dir, "pki")), pki.IndexFile(filepath.Join(dir, "pki")), pki.PreviousCRL(filepath.Join(dir, "pki"))}
	if got := crlsOf(cfg); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// TestRevocationWaitsForNothing: a file that is broken doesn't delay a revocation. The next
// refresh uses the list as it is then.
func TestRevocationWaitsForNothing(t *testing.T) {
	var foreign *authority
	s := startService(t, "", func(dir string) { foreign = newAuthority(t, filepath.Join(dir, "foreign"), "Foreign") })
	text := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn) +
		serverTunnel("b", "127.0.0.1:0", greeter(t, "two"), "cert = 'foreign/server.crt'\nkey = 'foreign/server.key'")
	s.reload(text)
	own := openAuthority(t, s.openPKI())
	crl := pki.OwnCRL(own.store.Dir)
	own.revoke(crl, time.Hour)
	empty, err := os.ReadFile(crl)
	check(t, err)
	check(t, s.refresh(t.Context(), "test"))
	speak(s.dial("a", s.tlsConfig())).expect(t, "one")

	check(t, os.Rename(filepath.Join(foreign.store.Dir, "server.key"), filepath.Join(foreign.store.Dir, "away")))
	own.revoke(crl, time.Hour, s.client.Leaf)
	if err := s.refresh(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "server.key") {
		t.Errorf("got %v", err)
	}
	s.log.Await(t, `msg="connection interrupted" tunnel=a`)
	s.log.Await(t, "changed=[a]")
	s.refused("a", s.tlsConfig())

	check(t, os.Rename(filepath.Join(foreign.store.Dir, "away"), filepath.Join(foreign.store.Dir, "server.key")))
	check(t, replaceFile(crl, string(empty))) // as in the last whole refresh
	check(t, s.refresh(t.Context(), "test"))
	speak(s.dial("a", s.tlsConfig())).expect(t, "one")
}

// TestForeignCRL: lists of another machine's CA, in both modes.
func TestForeignCRL(t *testing.T) {
	t.Parallel()
	var foreign *authority
	var crl string
	s := startService(t, "", func(dir string) {
		foreign = newAuthority(t, filepath.Join(dir, "foreign"), "Foreign")
		crl = filepath.Join(dir, "foreign.crl")
		foreign.revoke(crl, time.Hour)
	})
	client := s.tlsConfig()
	client.Certificates = []tls.Certificate{foreign.store.Server}
	target := foreignServer(t, foreign.store.Server)
	text := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn+"\nclient_ca = ['own', 'foreign/ca.crt']\ncrl = 'foreign.crl'") +
		fmt.Sprintf("[[tunnel]]\nname = 'c'\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = %q\nserver_name = 'localhost'\nca = 'foreign/ca.crt'\ncrl = ['foreign.crl']\n", target)
	s.reload(text)
	s.supervised()
	in := speak(s.dial("a", client))
	in.expect(t, "one")
	plain, err := net.Dial("tcp", s.Addr("c").String())
	check(t, err)
	defer plain.Close()
	out := speak(plain)
	out.echo(t, "hello")

	foreign.revoke(crl, time.Hour, foreign.store.Server.Leaf)
	s.log.Await(t, `the peer's certificate was revoked on `)
	s.log.Await(t, `the target's certificate was revoked on `)
	s.refused("a", client)
	own := speak(s.dial("a", s.tlsConfig()))
	own.expect(t, "one")
	if again, err := net.Dial("tcp", s.Addr("c").String()); err == nil { // otherwise it was reset already
		defer again.Close()
	}
	s.log.Await(t, `msg="target failed" tunnel=c`)
	s.log.Await(t, `tlstunnel refused the target's certificate: it was revoked on `)
}

// TestCRLExpired: a list that is out of date leads to a warning, or to the refusal of its
// CA's certificates and of no others. It stops no reload.
func TestCRLExpired(t *testing.T) {
	var foreign *authority
	server := func(more string) string {
		return serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn+"\nclient_ca = ['own', 'foreign/ca.crt']\ncrl = 'foreign.crl'\n"+more)
	}
	s := startService(t, "", func(dir string) {
		foreign = newAuthority(t, filepath.Join(dir, "foreign"), "Foreign")
		foreign.revoke(filepath.Join(dir, "foreign.crl"), -time.Hour)
	})
	client := s.tlsConfig()
	client.Certificates = []tls.Certificate{foreign.store.Server}

	s.reload(server(""))
	s.log.Await(t, "until then, all certificates of this CA are refused (crl_expired)")
	s.refused("a", client)
	s.log.Await(t, "may have been revoked: the CRL ")
	speak(s.dial("a", s.tlsConfig())).expect(t, "one") // of another CA

	s.reload(server("crl_expired = 'warn'"))
	s.log.Await(t, "until then, certificates that were revoked since are accepted (crl_expired)")
	speak(s.dial("a", client)).expect(t, "one")
	s.log.Await(t, `level=WARN msg="a CRL is out of date, get a new one from the CA: certificates that were revoked since are accepted"`)

	// Our own list is never out of date, because there can be no newer one.
	own := openAuthority(t, s.openPKI())
	own.revoke(pki.OwnCRL(own.store.Dir), -time.Hour)
	s.reload(server(""))
	speak(s.dial("a", s.tlsConfig())).expect(t, "one")
}

// TestCRLRefused: if no CA is known to have signed a list, that is an error.
func TestCRLRefused(t *testing.T) {
	s := startService(t, "", func(dir string) {
		newAuthority(t, filepath.Join(dir, "foreign"), "Foreign").revoke(filepath.Join(dir, "foreign.crl"), time.Hour)
	})
	s.write(serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", requireOwn+"\ncrl = ['foreign.crl', 'none.crl']"))
	_, err := s.Reload(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), "isn't a CA that this tunnel trusts") || !strings.Contains(err.Error(), "none.crl") {
		t.Errorf("got %v", err)
	}
}

// TestAllow: the rules of the config reach the tunnel.
func TestAllow(t *testing.T) {
	text := func(rule string) string {
		return serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn+"\nallow = ["+rule+"]")
	}
	s := startService(t, text("'dns:localhost', 'cn:nobody'"))
	speak(s.dial("a", s.tlsConfig())).expect(t, "one")
	s.reload(text("'cn:nobody'"))
	s.refused("a", s.tlsConfig())
	s.log.Await(t, `allow has \"cn:nobody\"`)
}

// TestAskRefresh asks for a refresh over the control channel.
func TestAskRefresh(t *testing.T) {
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	if err := AskRefresh(t.Context(), s.file); err == nil {
		t.Error("a service answered")
	}
	control := s.serveControl()
	defer control.Close()
	own := openAuthority(t, s.openPKI())
	client := s.tlsConfig()
	own.revoke(pki.OwnCRL(own.store.Dir), time.Hour, s.client.Leaf)
	s.write("wrong") // isn't read
	check(t, AskRefresh(t.Context(), s.file))
	s.refused("a", client)
	check(t, replaceFile(pki.OwnCRL(own.store.Dir), "damaged"))
	if err := AskRefresh(t.Context(), s.file); err == nil || !strings.Contains(err.Error(), "ca.crl") {
		t.Errorf("got %v", err)
	}
}

func (s *subject) openPKI() *pki.Store {
	s.t.Helper()
	store, err := pki.Open(filepath.Join(filepath.Dir(s.file), "pki"), time.Now())
	check(s.t, err)
	return store
}

// foreignServer speaks TLS and echoes.
func foreignServer(t *testing.T, cert tls.Certificate) string {
	t.Helper()
	config := &tls.Config{Certificates: []tls.Certificate{cert}}
	return testkit.Serve(t, tls.NewListener(testkit.Listen(t), config), testkit.Echo)
}

// endless is a stream.
type endless struct{}

func (endless) Read(b []byte) (int, error) { return len(b), nil }

// TestRevokedButNotOnCRL: the disk is full, so a revocation is in the index but not on the
// CRL. A service that runs refuses the certificate, though no command tells it, and so does a
// service that starts. The CRL is written as soon as that is possible.
func TestRevokedButNotOnCRL(t *testing.T) {
	t.Parallel()
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	s.supervised()
	dir := s.cfg.PKI.Dir
	trusted := s.tlsConfig()
	trusted.Certificates = []tls.Certificate{issue(t, dir, "client")}
	speak(s.dial("a", trusted)).expect(t, "one")
	crl := pki.OwnCRL(dir)
	check(t, os.MkdirAll(filepath.Join(crl, "in the way"), 0o700))

	revoke := func() error {
		ca, err := pki.OpenAuthority(t.Context(), dir, time.Now())
		check(t, err)
		defer ca.Close()
		found, err := ca.Find("client")
		check(t, err)
		return ca.Revoke(found, "keyCompromise")
	}
	for range 2 {
		if err := revoke(); !errors.Is(err, pki.ErrNotOnCRL) {
			t.Errorf("got %v", err)
		}
	}
	s.log.Await(t, `msg="connection interrupted" tunnel=a`)
	s.log.Await(t, ": keyCompromise (")
	s.log.Await(t, filepath.Base(pki.IndexFile(dir))+`)"`)
	s.refused("a", trusted)

	s.log.Await(t, `level=ERROR msg="CRL not signed anew" err="the CRL of our own CA isn't up to date, so other programs may accept a revoked certificate: `)
	s.checkCertificates(t.Context(), time.Now())
	if got := s.Status().CRLError; !strings.Contains(got, strconv.Quote(crl)) {
		t.Errorf("got %q", got)
	}
	check(t, os.RemoveAll(crl))
	s.checkCertificates(t.Context(), time.Now())
	if got := s.Status().CRLError; got != "" {
		t.Errorf("got %q", got)
	}
	check(t, revoke())
	lists, err := certfile.LoadCRLs(crl, []*x509.Certificate{s.openPKI().CA})
	check(t, err)
	if len(lists[0].Revoked()) != 1 {
		t.Errorf("on the CRL: %v", lists[0].Revoked())
	}
	check(t, os.Remove(crl)) // or restore an older one from a backup
	check(t, s.refresh(t.Context(), "test"))
	s.refused("a", trusted)
}

// TestStatusAfterRevocation: a command that couldn't write the CRL tells the service. The
// status says so at once, before the service's next look.
func TestStatusAfterRevocation(t *testing.T) {
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	dir := s.cfg.PKI.Dir
	issue(t, dir, "client")
	check(t, os.MkdirAll(filepath.Join(pki.OwnCRL(dir), "in the way"), 0o700))
	ca, err := pki.OpenAuthority(t.Context(), dir, time.Now())
	check(t, err)
	found, err := ca.Find("client")
	check(t, err)
	if err := ca.Revoke(found, "keyCompromise"); !errors.Is(err, pki.ErrNotOnCRL) {
		t.Errorf("got %v", err)
	}
	ca.Close()
	s.answerRefresh(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, "/refresh", nil))
	if got := s.Status(); got.CRLError == "" || got.Healthy {
		t.Errorf("got %q, %s", got.CRLError, got.Verdict)
	}
}

// issue makes a client certificate as `cert issue` does.
func issue(t *testing.T, dir, name string) tls.Certificate {
	t.Helper()
	ca, err := pki.OpenAuthority(t.Context(), dir, time.Now())
	check(t, err)
	defer ca.Close()
	out := t.TempDir()
	_, _, err = ca.Issue(pki.Request{Name: name, Client: true, Validity: time.Hour}, "ecdsa-p256", out)
	check(t, err)
	pair, err := tls.LoadX509KeyPair(filepath.Join(out, name+".crt"), filepath.Join(out, name+".key"))
	check(t, err)
	return pair
}

// TestIssuedIsNoRevocation: issuing a certificate changes the index. The service reads
// nothing else anew for that.
func TestIssuedIsNoRevocation(t *testing.T) {
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	issue(t, s.cfg.PKI.Dir, "one")
	if s.revocationsDiffer() {
		t.Error("a refresh is wanted")
	}
	check(t, replaceFile(pki.IndexFile(s.cfg.PKI.Dir), "damaged\n"))
	if !s.revocationsDiffer() {
		t.Error("a damaged index is passed over")
	}
	check(t, s.refresh(t.Context(), "test"))
	s.log.Await(t, "is damaged in line 1: restore it from a backup; the tunnel goes by the CRL ")
}

// TestOneBadList: a list that can't be read doesn't keep others from use.
func TestOneBadList(t *testing.T) {
	var foreign *authority
	s := startService(t, "", func(dir string) { foreign = newAuthority(t, filepath.Join(dir, "foreign"), "Foreign") })
	file := filepath.Join(foreign.store.Dir, "foreign.crl")
	theirs := foreign.issueClient()
	foreign.revoke(file, time.Hour, theirs.Leaf)
	s.reload(serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), requireOwn+"\nclient_ca = ['own', 'foreign/ca.crt']\ncrl = 'foreign/foreign.crl'"))
	trusted := s.tlsConfig()
	speak(s.dial("a", trusted)).expect(t, "one")
	own := openAuthority(t, s.openPKI())
	own.revoke(pki.OwnCRL(own.store.Dir), time.Hour, s.client.Leaf)
	check(t, replaceFile(file, "damaged"))
	if err := s.refresh(t.Context(), "test"); err == nil || !strings.Contains(err.Error(), "foreign.crl") {
		t.Errorf("got %v", err)
	}
	s.refused("a", trusted)
	trusted.Certificates = []tls.Certificate{theirs}
	s.refused("a", trusted) // by the list before
}
