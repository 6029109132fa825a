package acme

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	protocol "golang.org/x/crypto/acme"

	"tlstunnel/internal/testkit"
)

// newTestOrdering is an ordering that asks no CA.
func newTestOrdering(t *testing.T, domains ...string) *ordering {
	return &ordering{
		Settings: Settings{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: domains, Challenge: "tls-alpn-01"},
		now:      func() time.Time { return now },
	}
}

// TestACMEExplains: what a CA says, and what prevents us from asking it. Each explanation
// says what to do.
func TestACMEExplains(t *testing.T) {
	o := newTestOrdering(t, "pacs.clinic.example")
	o.domain = "pacs.clinic.example"
	problem := func(kind string, status int) error {
		return &protocol.Error{ProblemType: "urn:ietf:params:acme:error:" + kind, Detail: "so it is", StatusCode: status}
	}
	challenge := func(kind string) error {
		return &protocol.AuthorizationError{Errors: []error{problem(kind, 403)}}
	}
	account := "if it was deactivated or revoked, find out why and then delete its key DIR and reload: a new account is made"
	reach := "the name must lead to this machine, and port 443 of it to the tunnel: check the DNS, the firewall, the port forwarding, and what else may answer there"
	const notOurs = `the CA couldn't make sure that "pacs.clinic.example" is ours: so it is: `
	for _, test := range []struct {
		err  error
		want string
	}{
		{challenge("dns"), notOurs + `give "pacs.clinic.example" an address in the public DNS, that of this machine`},
		{challenge("caa"), notOurs + `the DNS allows only other CAs (CAA record of "pacs.clinic.example"): add this one, or set directory to one of those`},
		{challenge("rateLimited"), notOurs + "the CA has had too many requests: it is tried again later"},
		{challenge("connection"), notOurs + reach},
		{problem("unauthorized", 403), `the CA says "so it is" (403 unauthorized): the CA doesn't accept this account any more, or for this: ` + account},
		{problem("accountDoesNotExist", 400), `the CA says "so it is" (400 accountDoesNotExist): the CA doesn't accept this account any more, or for this: ` + account},
		{problem("rateLimited", 429), `the CA says "so it is" (429 rateLimited): it is tried again later, when the CA allows it; don't delete files, as that only asks for more`},
		{problem("externalAccountRequired", 403), `the CA says "so it is" (403 externalAccountRequired): this CA takes only its customers: set eab_kid and eab_key_file to what it gave you`},
		{problem("rejectedIdentifier", 400), `the CA says "so it is" (400 rejectedIdentifier): this CA doesn't issue certificates for that name: check domains`},
		{problem("badPublicKey", 400), `the CA says "so it is" (400 badPublicKey): set another pki.key_type`},
		{problem("userActionRequired", 403), `the CA says "so it is" (403 userActionRequired): the CA wants something done first; it says what`},
		{problem("invalidContact", 400), `the CA says "so it is" (400 invalidContact): set another email`},
		{problem("serverInternal", 500), `the CA says "so it is" (500 serverInternal): it is the CA's own fault, and tried again`},
		{problem("malformed", 400), `the CA says "so it is" (400 malformed)`},
		{errAccount("deactivated"), "the account is deactivated: the CA doesn't accept this account any more, or for this: " + account},
		{&net.DNSError{Err: "no such host", Name: "ca.example"}, "lookup ca.example: no such host: check directory and this machine's DNS"},
		{x509.CertificateInvalidError{Reason: x509.Expired, Detail: "so it is"}, "x509: certificate has expired or is not yet valid: so it is: check the clock of this machine, which says 2026-11-23 07:40:00 +00:00"},
		{x509.UnknownAuthorityError{}, "x509: certificate signed by unknown authority: set directory_ca to the file with the CA's root certificate, if it is a private one; otherwise something on the way intercepts TLS"},
		{context.DeadlineExceeded, "context deadline exceeded: check directory, the network and the proxy (HTTPS_PROXY); it is tried again"},
		{errors.New("line\none " + strings.Repeat("long ", 500)), "line one " + strings.Repeat("long ", 198) + "l..."},
	} {
		got := strings.ReplaceAll(o.explain(test.err).Error(), strconv.Quote(o.accountFile()), "DIR")
		if want := `getting a certificate for "pacs.clinic.example" from "https://ca.example/dir": ` + test.want; got != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
		if code := codeOf(o.explain(test.err)); !strings.HasPrefix(code, "acme.") {
			t.Errorf("%s: got the code %q", test.want, code)
		}
	}
	if got := codeOf(errors.New("something new")); got != unknownFailure {
		t.Errorf("got %q", got)
	}
	o.Challenge, o.EABKid = "http-01", "kid-1"
	if got := o.explain(challenge("connection")).Error(); !strings.Contains(got, "port 80 of it to http_listen: ") {
		t.Errorf("got %s", got)
	}
	if got := o.explain(problem("unauthorized", 403)).Error(); !strings.Contains(got, "find out why, check eab_kid and eab_key_file with the CA, and then") {
		t.Errorf("got %s", got)
	}
}

// TestACMERetryAfter: the next attempt is at the time that the CA has named.
func TestACMERetryAfter(t *testing.T) {
	o := newTestOrdering(t, "a.example")
	for header, want := range map[string]time.Duration{
		"7200": 2 * time.Hour,
		now.Add(3 * time.Hour).UTC().Format(http.TimeFormat): 3 * time.Hour,
		"soon": 0,
	} {
		err := o.explain(&protocol.Error{Header: http.Header{"Retry-After": {header}}})
		if got := err.(*Error).RetryAfter; got != want {
			t.Errorf("%q: got %v, want %v", header, got, want)
		}
	}
}

// TestACMEChecksCertificate: what a CA has sent replaces the certificate only if it is what
// was asked for.
func TestACMEChecksCertificate(t *testing.T) {
	key, other := testkit.NewKey(), testkit.NewKey()
	certificate := func(key *ecdsa.PrivateKey, names ...string) []byte {
		template := &x509.Certificate{Subject: pkix.Name{CommonName: "a"}, DNSNames: names, NotBefore: now, NotAfter: now.Add(time.Hour)}
		return testkit.Sign(template, key, nil).Raw
	}
	o := newTestOrdering(t, "a.example", "b.example")
	for _, test := range []struct {
		der  []byte
		want string
	}{
		{certificate(key, "a.example", "b.example"), ""},
		{certificate(key, "a.example", "b.example")[:50], "the CA has sent a damaged certificate: x509: malformed certificate"},
		{certificate(other, "a.example", "b.example"), "the CA has sent a certificate for another key"},
		{certificate(key, "a.example"), "the CA has sent a certificate for other names: x509: certificate is valid for a.example, not b.example"},
	} {
		_, err := o.encode(key, [][]byte{test.der})
		if err == nil && test.want != "" || err != nil && err.Error() != test.want {
			t.Errorf("got %v, want %q", err, test.want)
		}
	}
}
