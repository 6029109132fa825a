//go:build linux

package interop

import (
	"cmp"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	protocol "golang.org/x/crypto/acme"

	"tlstunnel/pki/acme"
)

// pebble is the ACME server of Let's Encrypt's own tests.
type pebble struct {
	*program
	address string    // of its directory
	root    authority // of its own certificate
	binary  string
	config  map[string]any
	env     []string
}

// preparePebble chooses the address of a Pebble, but doesn't start it.
func preparePebble(t *testing.T) *pebble {
	t.Helper()
	name := os.Getenv("TLSTUNNEL_PEBBLE")
	if name == "" {
		name = "pebble"
	}
	p := &pebble{address: freeAddress(t), root: newAuthority(t, "Pebble's"), binary: need(t, name)}
	pair := p.root.issue(t, "localhost", "DNS:localhost", "IP:127.0.0.1")
	p.config = map[string]any{
		"listenAddress": p.address, "managementListenAddress": freeAddress(t), "certificate": pair.cert, "privateKey": pair.key,
		"keyAlgorithm": "ecdsa", "retryAfter": map[string]int{"authz": 1, "order": 1},
	}
	return p
}

// start starts Pebble, which looks for its challenges at these addresses.
func (p *pebble) start(t *testing.T, tlsListen, httpListen string) {
	t.Helper()
	port := func(address string) int {
		addr, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return addr.Port
	}
	p.config["tlsPort"], p.config["httpPort"] = port(tlsListen), port(httpListen)
	text, err := json.Marshal(map[string]any{"pebble": p.config})
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(p.binary, "-config", writeFile(t, p.root.dir, "pebble.json", string(text)))
	// Pebble refuses one of five requests for their nonce, as a CA may.
	cmd.Env = append(append(os.Environ(), "PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=20", "PEBBLE_AUTHZREUSE=0"), p.env...)
	p.program = start(t, cmd)
	if !p.accepts(t, p.address) {
		t.Fatal("pebble has ended")
	}
}

// table is the acme table of a config that uses this CA.
func (p *pebble) table(more string) string {
	return fmt.Sprintf("acme = { directory = %q, directory_ca = %q, domains = [%q]%s }", "https://"+p.address+"/dir", p.root.cert, "localhost", more)
}

// issuer is the CA certificate of what Pebble issues. It is another one after each start.
func (p *pebble) issuer(t *testing.T) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	resp, err := p.client(t).Get("https://" + p.config["managementListenAddress"].(string) + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil || !pool.AppendCertsFromPEM(data) {
		t.Fatalf("no root: %v %s", err, data)
	}
	return pool
}

func (p *pebble) client(t *testing.T) *http.Client {
	t.Helper()
	data, err := os.ReadFile(p.root.cert)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(data)
	return &http.Client{Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: pool}}, Timeout: patience}
}

const (
	acmeFailed = "no new certificate, the CA is asked again later"
	acmeGot    = "new certificate"
)

// waitRecords waits until the log has so many lines with a message.
func (tun *tunnel) waitRecords(t *testing.T, msg string, count int) []record {
	t.Helper()
	var found []record
	tun.waitUntil(t, fmt.Sprintf("%d lines %q", count, msg), func(string) bool {
		found = nil
		for _, r := range tun.records() {
			if r.Msg == msg {
				found = append(found, r)
			}
		}
		return len(found) >= count
	})
	return found
}

// wantFailure waits for a failed attempt whose reason has all of the texts.
func (tun *tunnel) wantFailure(t *testing.T, count int, texts ...string) {
	t.Helper()
	got := tun.waitRecords(t, acmeFailed, count)[count-1]
	for _, text := range texts {
		if !strings.Contains(got.Err, text) {
			t.Errorf("got the failure %q, want it to have %q", got.Err, text)
		}
	}
}

// wantChecked checks the log lines of the connections by which the CA looked at the
// challenge. Each order makes three connections. Within a minute, the log has a line for five
// connections of one address.
func (tun *tunnel) wantChecked(t *testing.T, lines int) {
	t.Helper()
	for range lines {
		if r := tun.connection(t); r.Msg != closed || r.Reason != "a CA has checked that the name is ours" || r.ToTarget != 0 {
			t.Errorf("got %+v", r)
		}
	}
}

func (tun *tunnel) reload(t *testing.T) {
	t.Helper()
	if err := tun.cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
}

// visit connects as a client that trusts roots, and returns the certificate.
func (tun *tunnel) visit(t *testing.T, roots *x509.CertPool) *x509.Certificate {
	t.Helper()
	c, err := tls.Dial("tcp", tun.addr, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	want := "over the tunnel"
	if _, err := io.WriteString(c, want); err != nil {
		t.Fatal(err)
	}
	if err := c.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(c); string(got) != want || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	tun.wantClosed(t)
	return c.ConnectionState().PeerCertificates[0]
}

// TestACME: while the CA is down, the tunnel lets no peer in. Once the CA is there, the
// tunnel gets a certificate, and renews it without an effect on any connection. The CA's own
// connections, which have no client certificate, never reach the target.
func TestACME(t *testing.T) {
	p := preparePebble(t)
	p.config["profiles"] = map[string]any{"default": map[string]any{"description": "for a moment", "validityPeriod": 12}}
	tun := startServer(t, startEcho(t), p.table(`, email = "it@clinic.example"`))
	tun.wantFailure(t, 1, `getting a certificate for "localhost" from "https://`+p.address, "connection refused", "check directory, the network")
	if c, err := tls.Dial("tcp", tun.addr, &tls.Config{InsecureSkipVerify: true}); err == nil {
		c.Close()
		t.Error("got a certificate from nowhere")
	}
	tun.wantFailed(t, handshakeFailed)

	p.start(t, tun.addr, "127.0.0.1:1")
	tun.reload(t)
	tun.waitRecords(t, acmeGot, 1)
	tun.wantChecked(t, 3)
	first := tun.visit(t, p.issuer(t))
	c, err := tls.Dial("tcp", tun.addr, &tls.Config{RootCAs: p.issuer(t), ServerName: "localhost"})
	if err != nil {
		t.Fatal(err)
	}
	tun.waitRecords(t, acmeGot, 2)
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Error(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
		t.Errorf("the renewal has cut a connection: %v", err)
	}
	tun.wantChecked(t, 2)
	c.Close()
	tun.connection(t)
	if second := tun.visit(t, p.issuer(t)); second.Equal(first) {
		t.Error("the certificate wasn't renewed")
	}

	files, err := filepath.Glob(tun.pki("acme/*"))
	if err != nil || len(files) != 3 {
		t.Errorf("got %q, want the lock file, the account's key and the certificate", files)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

// TestACMEHTTP: the other challenge, an external account binding, and a tunnel that demands
// client certificates.
func TestACMEHTTP(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	p := preparePebble(t)
	p.config["externalAccountBindingRequired"] = true
	p.config["externalAccountMACKeys"] = map[string]string{"kid-1": key}
	httpListen := freeAddress(t)
	file := writeFile(t, t.TempDir(), "eab.key", key+"\n")
	tun := startServer(t, startEcho(t), p.table(fmt.Sprintf(`, challenge = "http-01", http_listen = %q, eab_kid = "kid-1", eab_key_file = %q`, httpListen, file)))
	tun.wantFailure(t, 1)
	p.start(t, tun.addr, httpListen)
	tun.reload(t)
	tun.waitRecords(t, acmeGot, 1)
	tun.visit(t, p.issuer(t))
	if c, err := net.Dial("tcp", httpListen); err == nil {
		c.Close()
		t.Error("http_listen is still open")
	}
	if strings.Contains(tun.output.String(), key) {
		t.Error("the log has the key")
	}
}

// TestACMEFailures: a CA that demands an external account, a challenge that can't reach the
// tunnel, and an account that was deactivated.
func TestACMEFailures(t *testing.T) {
	p := preparePebble(t)
	tun := startServer(t, startEcho(t), p.table(""))
	tun.wantFailure(t, 1)
	p.start(t, tun.addr, "127.0.0.1:1")
	port := p.config["tlsPort"]
	p.stopped(t)

	elsewhere := freeAddress(t)
	p.config["externalAccountBindingRequired"] = true
	p.config["externalAccountMACKeys"] = map[string]string{"kid-1": "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"}
	p.start(t, elsewhere, "127.0.0.1:1")
	tun.reload(t)
	tun.wantFailure(t, 2, "externalAccountRequired", "set eab_kid and eab_key_file")
	p.stopped(t)

	p.config["externalAccountBindingRequired"] = false
	p.start(t, elsewhere, "127.0.0.1:1")
	tun.reload(t)
	tun.wantFailure(t, 3, `the CA couldn't make sure that "localhost" is ours`, "port 443")

	p.deactivate(t, tun)
	tun.reload(t)
	tun.wantFailure(t, 4, "deactivated", "delete its key", "account-127.0.0.1-")

	keys, _ := filepath.Glob(tun.pki("acme/account-*.key"))
	if len(keys) != 1 {
		t.Fatalf("got %q", keys)
	}
	p.stopped(t)
	if err := os.Remove(keys[0]); err != nil { // as the message says
		t.Fatal(err)
	}
	p.start(t, tun.addr, "127.0.0.1:1")
	if p.config["tlsPort"] != port {
		t.Fatal("another port")
	}
	tun.reload(t)
	tun.waitRecords(t, acmeGot, 1)
	tun.wantChecked(t, 3)
	tun.visit(t, p.issuer(t))
}

// TestACMEClock: a machine whose clock is wrong orders nothing, because it would find the new
// certificate not valid yet or expired.
func TestACMEClock(t *testing.T) {
	p := preparePebble(t)
	tun := startServer(t, startEcho(t), p.table(""))
	tun.wantFailure(t, 1)
	p.start(t, tun.addr, "127.0.0.1:1")
	a := acme.Settings{Dir: t.TempDir(), KeyType: "ecdsa-p256", Directory: "https://" + p.address + "/dir", DirectoryCA: p.root.cert,
		Domains: []string{"localhost"}, Challenge: "tls-alpn-01"}
	for _, tt := range []struct {
		skew time.Duration
		want string
	}{
		{3 * time.Hour, "the clock of this machine says "},
		{30 * time.Minute, ""},
		{100 * time.Hour, "check the clock of this machine, which says "},
		{-100 * time.Hour, "check the clock of this machine, which says "},
	} {
		now := func() time.Time { return time.Now().Add(tt.skew) }
		due := func(tls.Certificate) bool { return true }
		_, err := a.Renew(t.Context(), now, due, nil)
		if err == nil || !strings.Contains(err.Error(), cmp.Or(tt.want, `couldn't make sure that "localhost" is ours`)) {
			t.Errorf("%v: got %v", tt.skew, err)
		}
		if _, err := a.Load(now()); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%v: there is a certificate: %v", tt.skew, err)
		}
	}
	// If the clock is wrong by half an hour, the order goes on. The CA asks the tunnel, not
	// the service that made the order.
	for range 3 {
		tun.wantFailed(t, handshakeFailed)
	}
}

func (p *pebble) stopped(t *testing.T) {
	t.Helper()
	_ = p.stop(syscall.SIGKILL)
}

// deactivate ends the account of a tunnel, as its owner or the CA may.
func (p *pebble) deactivate(t *testing.T, tun *tunnel) {
	t.Helper()
	files, err := filepath.Glob(tun.pki("acme/account-*.key"))
	if err != nil || len(files) != 1 {
		t.Fatalf("got %q, %v", files, err)
	}
	data, err := os.ReadFile(files[0])
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(data)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	client := &protocol.Client{Key: key.(crypto.Signer), DirectoryURL: "https://" + p.address + "/dir", HTTPClient: p.client(t)}
	if err := client.DeactivateReg(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// TestACMEShared: two machines share a folder. The first orders, and the second uses the
// certificate, though the CA asks only the second.
func TestACMEShared(t *testing.T) {
	p := preparePebble(t)
	first := startServer(t, startEcho(t), p.table(""))
	first.wantFailure(t, 1)
	shared := t.TempDir()
	link := func(tun *tunnel) {
		if err := os.RemoveAll(tun.pki("acme")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(shared, tun.pki("acme")); err != nil {
			t.Fatal(err)
		}
	}
	second := startServer(t, startEcho(t), p.table(""))
	second.wantFailure(t, 1)
	link(first)
	link(second)
	p.start(t, second.addr, "127.0.0.1:1")
	first.reload(t)
	first.waitRecords(t, acmeGot, 1)
	second.wantChecked(t, 3)
	second.reload(t)
	second.waitRecords(t, acmeGot, 1)
	if !first.visit(t, p.issuer(t)).Equal(second.visit(t, p.issuer(t))) {
		t.Error("each has its own certificate")
	}
}
