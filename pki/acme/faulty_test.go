package acme

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

// faultyCA speaks as much of ACME as an order needs whose names are already proved. It
// verifies nothing.
type faultyCA struct {
	*httptest.Server
	t *testing.T

	// answer may answer a step in place of the CA: directory, nonce, account, order,
	// authz, finalize, cert.
	answer func(step string, w http.ResponseWriter, r *http.Request) bool

	chain func(csr *x509.CertificateRequest) []*x509.Certificate
	last  []*x509.Certificate
}

func newFaultyCA(t *testing.T) (*faultyCA, Settings) {
	ca := &faultyCA{t: t, answer: func(string, http.ResponseWriter, *http.Request) bool { return false }}
	ca.Server = httptest.NewTLSServer(http.HandlerFunc(ca.serve))
	t.Cleanup(ca.Close)
	dir := t.TempDir()
	root := writeFile(t, filepath.Join(dir, "root.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate().Raw}))
	return ca, Settings{Dir: dir, KeyType: "ecdsa-p256", Directory: ca.URL + "/directory", DirectoryCA: root, Domains: []string{"a.example"}, Challenge: "http-01"}
}

func (ca *faultyCA) serve(w http.ResponseWriter, r *http.Request) {
	step := strings.Trim(r.URL.Path, "/")
	w.Header().Set("Replay-Nonce", "AAAA")
	w.Header().Set("Date", now.Format(http.TimeFormat))
	if ca.answer(step, w, r) {
		return
	}
	u := ca.URL
	order := fmt.Sprintf(`{"status": "%%s", "identifiers": [{"type": "dns", "value": "a.example"}], "authorizations": [%q], "finalize": %q, "certificate": %q}`, u+"/authz", u+"/finalize", u+"/cert")
	switch step {
	case "directory":
		fmt.Fprintf(w, `{"newNonce": %q, "newAccount": %q, "newOrder": %q}`, u+"/nonce", u+"/account", u+"/order")
	case "account":
		w.Header().Set("Location", u+"/account/1")
		fmt.Fprint(w, `{"status": "valid"}`)
	case "order":
		w.Header().Set("Location", u+"/order/1")
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, order, "ready")
	case "order/1":
		fmt.Fprintf(w, order, "ready")
	case "authz":
		fmt.Fprint(w, `{"status": "valid", "identifier": {"type": "dns", "value": "a.example"}}`)
	case "finalize":
		ca.last = ca.chain(ca.request(r))
		fmt.Fprintf(w, order, "valid")
	case "cert":
		w.Write(certfile.EncodeCertificates(ca.last...))
	}
}

// request is the CSR in the body of a request.
func (ca *faultyCA) request(r *http.Request) *x509.CertificateRequest {
	var jws struct{ Payload string }
	var body struct{ CSR string }
	if err := json.NewDecoder(r.Body).Decode(&jws); err != nil {
		ca.t.Error(err)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(jws.Payload)
	_ = json.Unmarshal(payload, &body)
	der, _ := base64.RawURLEncoding.DecodeString(body.CSR)
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		ca.t.Error(err)
	}
	return csr
}

func renewAlways(tls.Certificate) bool { return true }

func testNow() time.Time { return now }

var now = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

func init() { time.Local = time.UTC } // messages have local time

// What the tests of all packages share, under the names that it has here.
var (
	globFiles = testkit.GlobFiles
	readFile  = testkit.ReadFile
	writeFile = testkit.WriteFile[[]byte]
)

// madeBy makes a certificate, with a new key if none is given. If by is nil, the certificate
// is self-signed.
func madeBy(key any, by *testkit.Cert, change func(*x509.Certificate)) *testkit.Cert {
	if key == nil {
		key = testkit.NewKey()
	}
	template := &x509.Certificate{
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(90 * 24 * time.Hour), BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	change(template)
	return testkit.Sign(template, key, by)
}

func asCA(name string, end time.Duration) func(*x509.Certificate) {
	return func(c *x509.Certificate) {
		c.Subject, c.IsCA, c.KeyUsage, c.ExtKeyUsage = pkix.Name{CommonName: name}, true, x509.KeyUsageCertSign, nil
		c.NotBefore, c.NotAfter = now.Add(-10000*time.Hour), now.Add(end)
	}
}

// TestACMEKeepsTheGood: what a CA sends replaces the certificate only if a peer would accept
// it. Otherwise the certificate stays, and the next start uses it.
func TestACMEKeepsTheGood(t *testing.T) {
	const year = 365 * 24 * time.Hour
	root := madeBy(nil, nil, asCA("root", year))
	sub := madeBy(nil, root, asCA("sub", year))
	cross := madeBy(sub.Key, root, asCA("sub", -time.Hour)) // the same CA, expired
	expired := madeBy(nil, root, asCA("expired", -time.Hour))
	other := madeBy(nil, nil, asCA("other", year))
	noCA := madeBy(nil, root, func(c *x509.Certificate) { c.Subject.CommonName = "no CA" })

	type certs = []*x509.Certificate
	leaf := func(by *testkit.Cert, change func(*x509.Certificate)) func(*x509.CertificateRequest) *x509.Certificate {
		return func(csr *x509.CertificateRequest) *x509.Certificate {
			return madeBy(csr.PublicKey, by, func(c *x509.Certificate) {
				c.Subject.CommonName, c.DNSNames = "a", []string{"a.example"}
				if change != nil {
					change(c)
				}
			}).Certificate
		}
	}
	for _, test := range []struct {
		name  string
		leaf  func(*x509.CertificateRequest) *x509.Certificate
		above certs
		want  string // "": it is taken
	}{
		{"good", leaf(sub, nil), certs{sub.Certificate, root.Certificate}, ""},
		{"without its root", leaf(sub, nil), certs{sub.Certificate}, ""},
		{"of a root", leaf(root, nil), nil, ""},
		{"in disorder", leaf(sub, nil), certs{root.Certificate, sub.Certificate}, ""},
		{"with a stranger", leaf(sub, nil), certs{other.Certificate, sub.Certificate}, ""},
		{"CA twice", leaf(sub, nil), certs{cross.Certificate, sub.Certificate}, ""},
		{"a little early", leaf(sub, func(c *x509.Certificate) { c.NotBefore = now.Add(30 * time.Minute) }), certs{sub.Certificate}, ""},
		{"expired", leaf(sub, func(c *x509.Certificate) { c.NotAfter = now.Add(-time.Minute) }), certs{sub.Certificate}, `the CA has sent a certificate, "CN=a", that expired on 2026-11-23 07:39:00 +00:00`},
		{"not valid yet", leaf(sub, func(c *x509.Certificate) { c.NotBefore = now.Add(2 * time.Hour) }), certs{sub.Certificate}, `the CA has sent a certificate, "CN=a", that isn't valid before 2026-11-23 09:40:00 +00:00`},
		{"of an expired CA", leaf(expired, nil), certs{expired.Certificate}, `the CA has sent a chain that nobody accepts: "CN=expired" expired on 2026-11-23 06:40:00 +00:00`},
		{"chain of another", leaf(sub, nil), certs{other.Certificate}, `the CA has sent a chain that isn't that of the certificate: its issuer is "CN=sub", which isn't in it`},
		{"not of a CA", leaf(noCA, nil), certs{noCA.Certificate}, "the CA has sent a chain that nobody accepts: "},
		{"for clients", leaf(sub, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }), certs{sub.Certificate}, "the CA has sent a chain that nobody accepts: "},
		{"other names", leaf(sub, func(c *x509.Certificate) { c.DNSNames = []string{"b.example"} }), certs{sub.Certificate}, "the CA has sent a certificate for other names"},
		{"nothing but CAs", func(*x509.CertificateRequest) *x509.Certificate { return root.Certificate }, certs{sub.Certificate}, "the CA has sent a certificate for another key"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			ca, a := newFaultyCA(t)
			ca.chain = func(csr *x509.CertificateRequest) []*x509.Certificate {
				return certs{leaf(sub, nil)(csr), sub.Certificate}
			}
			if _, err := a.Renew(t.Context(), testNow, renewAlways, nil); err != nil {
				t.Fatal(err)
			}
			before := readFile(t, a.CertFile())
			ca.chain = func(csr *x509.CertificateRequest) []*x509.Certificate {
				return append(certs{test.leaf(csr)}, test.above...)
			}
			_, err := a.Renew(t.Context(), testNow, renewAlways, nil)
			if (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if same := bytes.Equal(before, readFile(t, a.CertFile())); same != (test.want != "") {
				t.Errorf("the file is the same: %v", same)
			}
			cert, err := a.Load(now)
			if err != nil {
				t.Fatal(err)
			}
			if len(cert.Certificate) > 1 && chain.SignedBy(cert.Leaf, other.Certificate) {
				t.Error("the chain isn't in order")
			}
			if left := globFiles(t, filepath.Join(a.Dir, "acme"), ".*.tmp"); len(left) > 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

// steps are the steps of an order, each of which may fail.
var steps = []string{"directory", "nonce", "account", "order", "authz", "order/1", "finalize", "cert"}

// TestACMEEndlessAnswer: no answer of a CA takes more memory than its bound, be it an error
// or what was asked for.
func TestACMEEndlessAnswer(t *testing.T) {
	for _, step := range steps {
		for _, status := range []int{http.StatusOK, http.StatusForbidden} {
			t.Run(fmt.Sprint(step, status), func(t *testing.T) {
				t.Parallel()
				ca, a := newFaultyCA(t)
				ca.chain = func(*x509.CertificateRequest) []*x509.Certificate { return nil }
				var sent atomic.Int64
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				ca.answer = func(s string, w http.ResponseWriter, r *http.Request) bool {
					if s != step || r.Method == http.MethodHead {
						return false
					}
					w.WriteHeader(status)
					block := bytes.Repeat([]byte(`{"detail": "`), 1000)
					for sent.Load() < 1<<30 {
						n, err := w.Write(block)
						if sent.Add(int64(n)); err != nil {
							break
						}
					}
					if step == "order/1" || step == "finalize" {
						cancel() // otherwise the CA would be asked again and again
					}
					return true
				}
				_, err := a.Renew(ctx, testNow, renewAlways, nil)
				if err == nil || len(err.Error()) > 2000 {
					t.Errorf("got %.3000v", err)
				}
				if n := sent.Load(); n > 64<<20 { // some tries, and most bytes are in buffers on the way
					t.Errorf("took %d bytes", n)
				}
			})
		}
	}
}

// TestACMELeadsElsewhere: every request uses TLS, wherever the CA leads.
func TestACMELeadsElsewhere(t *testing.T) {
	var asked atomic.Int64
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { asked.Add(1) }))
	t.Cleanup(plain.Close)
	want := fmt.Sprintf("the CA leads to %q, which isn't https", plain.URL+"/stolen")
	t.Run("redirect", func(t *testing.T) {
		for _, step := range steps {
			for _, status := range []int{http.StatusFound, http.StatusPermanentRedirect} {
				ca, a := newFaultyCA(t)
				ca.chain = func(*x509.CertificateRequest) []*x509.Certificate { return nil }
				ca.answer = func(s string, w http.ResponseWriter, r *http.Request) bool {
					if s == step {
						http.Redirect(w, r, plain.URL+"/stolen", status)
					}
					return s == step
				}
				_, err := a.Renew(t.Context(), testNow, renewAlways, nil)
				if step != "nonce" && (err == nil || !strings.Contains(err.Error(), want)) { // nonces come with other answers, too
					t.Errorf("%s: got %v, want %s", step, err, want)
				}
			}
		}
	})
	t.Run("directory", func(t *testing.T) {
		ca, a := newFaultyCA(t)
		ca.answer = func(s string, w http.ResponseWriter, _ *http.Request) bool {
			fmt.Fprintf(w, `{"newNonce": %[1]q, "newAccount": %[1]q, "newOrder": %[1]q}`, plain.URL+"/stolen")
			return true
		}
		if _, err := a.Renew(t.Context(), testNow, renewAlways, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
	})
	if n := asked.Load(); n != 0 {
		t.Errorf("asked %d times without TLS", n)
	}
}

// TestACMENamesNoFile: the name that a CA wants proved becomes a file name, so it has to be
// one of the domains.
func TestACMENamesNoFile(t *testing.T) {
	for _, name := range []string{"../../a.example", "/a.example", "b.example", "", "a.example\x00"} {
		ca, a := newFaultyCA(t)
		a.Challenge = "tls-alpn-01"
		ca.answer = func(s string, w http.ResponseWriter, _ *http.Request) bool {
			if s == "authz" {
				quoted, _ := json.Marshal(name)
				fmt.Fprintf(w, `{"status": "pending", "identifier": {"type": "dns", "value": %s}, "challenges": [{"type": "tls-alpn-01", "url": %q, "token": "t"}]}`, quoted, ca.URL+"/challenge")
			}
			return s == "authz"
		}
		_, err := a.Renew(t.Context(), testNow, renewAlways, nil)
		if want := fmt.Sprintf("the CA wants a proof for %q, which isn't one of the domains", name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, want %s", err, want)
		}
		if made := append(globFiles(t, a.Dir, "*.challenge"), globFiles(t, filepath.Join(a.Dir, "acme"), "*.challenge")...); made != nil {
			t.Errorf("made %q", made)
		}
	}
}

// TestACMEProblemIsQuoted: the words of a CA are quoted.
func TestACMEProblemIsQuoted(t *testing.T) {
	ca, a := newFaultyCA(t)
	for _, contentType := range []string{"application/problem+json", "text/plain"} {
		ca.answer = func(_ string, w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(http.StatusForbidden)
			if contentType == "text/plain" {
				io.WriteString(w, "\x1b[2J\nhint: trust me")
			} else {
				io.WriteString(w, `{"type": "urn:ietf:params:acme:error:\u001b[2J", "detail": "\u001b[2J\u009b\nhint: trust me"}`)
			}
			return true
		}
		_, err := a.Renew(t.Context(), testNow, renewAlways, nil)
		if err == nil || strings.ContainsAny(err.Error(), "\x1b\n\u009b") || !strings.Contains(err.Error(), "hint: trust me") {
			t.Errorf("got %q", err)
		}
	}
}

// TestACMEPoll: within an order, the next request comes neither at once nor in ten years,
// whatever the CA says.
func TestACMEPoll(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "1": "1", "60": "60", "61": "60", "315360000": "60", "-1": "", "0": "", "soon": "",
		"Thu, 01 Jan 1970 00:00:00 GMT": "", "99999999999999999999": "",
	} {
		h := http.Header{}
		if text != "" {
			h.Set("Retry-After", text)
		}
		if boundPoll(h); h.Get("Retry-After") != want {
			t.Errorf("%q: got %q, want %q", text, h.Get("Retry-After"), want)
		}
	}
}
