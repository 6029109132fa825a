package chain

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
)

var now = time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)

func init() { time.Local = time.UTC } // messages have local time

// issue signs with parent, or with the new key itself if parent is nil.
func issue(parent *testkit.Cert, name string, edit func(*x509.Certificate)) *testkit.Cert {
	return sign(parent, testkit.NewKey(), name, edit)
}

func sign(parent *testkit.Cert, key crypto.Signer, name string, edit func(*x509.Certificate)) *testkit.Cert {
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, NotBefore: now.Add(-time.Hour), NotAfter: now.Add(time.Hour),
	}
	if edit != nil {
		edit(template)
	}
	return testkit.Sign(template, key, parent)
}

func asCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }

func expired(c *x509.Certificate) { asCA(c); c.NotAfter = now.Add(-time.Minute) }

// sha1 is a leaf of an RSA CA, signed with SHA-1.
func sha1(t *testing.T, root *testkit.Cert) *x509.Certificate {
	t.Helper()
	cert, err := x509.ParseCertificate(testkit.WithSHA1(issue(root, "pacs", nil).Raw))
	testkit.Check(t, err)
	return cert
}

// The reason for "certificate signed by unknown authority", and for similar errors. No reason
// tells users to trust what they trust already.
func TestJudge(t *testing.T) {
	root := issue(nil, "Root", asCA)
	issuing := issue(root, "Issuing 1", asCA)
	leaf := issue(issuing, "pacs", nil).Certificate
	before := issue(root, "Issuing 1", asCA) // its renewal
	remade := issue(nil, "Root", asCA)
	old := sign(root, issuing.Key, "Issuing 1", expired)
	noCA := issue(root, "Clerk", nil)
	noSign := issue(root, "CRL signer", func(c *x509.Certificate) { asCA(c); c.KeyUsage = x509.KeyUsageCRLSign })
	printed := sign(nil, root.Key, "", func(c *x509.Certificate) {
		asCA(c)
		c.RawSubject = append([]byte("\x30\x0f\x31\x0d\x30\x0b\x06\x03\x55\x04\x03\x0c\x04"), "Root"...) // a UTF8String
		c.SubjectKeyId = root.SubjectKeyId
	})
	rsaRoot := sign(nil, testkit.RSAKey(2048), "Old Root", asCA)
	mailOnly := issue(root, "Mail CA", func(c *x509.Certificate) {
		asCA(c)
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageEmailProtection}
	})
	forClients := issue(issuing, "pacs", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).Certificate
	self := issue(nil, "box", nil).Certificate
	list := func(certs ...*x509.Certificate) []*x509.Certificate { return certs }
	missing := `the certificate of "CN=Issuing 1", which issued "CN=pacs", wasn't sent`
	const addIt = "the target's administrator adds it to the file of its certificate"

	for _, test := range []struct {
		name    string
		sent    []*x509.Certificate
		trusted []*x509.Certificate
		want    string
	}{
		{"good", list(leaf, issuing.Certificate), list(root.Certificate), ""},
		{"none between", list(leaf, root.Certificate), list(root.Certificate), missing + ": " + addIt + ", or you add it to ca of this tunnel"},
		{"leaf alone", list(leaf), list(root.Certificate), missing + fmt.Sprintf(" and isn't trusted here (key id %x); if that is a CA between it and one that is trusted, ", issuing.SubjectKeyId) + addIt + "; else, if you trust it, add its certificate to ca of this tunnel"},
		{"the one before", list(leaf, before.Certificate), list(root.Certificate), missing + ", but one of the same name with another key, as from before a renewal: " + addIt + " in its place, or you add it to ca of this tunnel"},
		{"the one before is trusted", list(leaf, root.Certificate), list(root.Certificate, before.Certificate), `"CN=pacs" wasn't signed by the CA "CN=Issuing 1" that is in ca of this tunnel (SHA-256 ` + dn.Fingerprint(before.Certificate) + `), but by one of the same name with another key: perhaps that CA was made anew; if you trust the new one, add its certificate too`},
		{"the root was made anew", list(leaf, issuing.Certificate, root.Certificate), list(remade.Certificate), `the CA "CN=Root" (SHA-256 ` + dn.Fingerprint(root.Certificate) + `) isn't trusted here, but one of the same name with another key is (SHA-256 ` + dn.Fingerprint(remade.Certificate) + `); if you trust it, add its certificate to ca of this tunnel`},
		{"the root was made anew and isn't sent", list(leaf, issuing.Certificate), list(remade.Certificate), `"CN=Issuing 1" wasn't signed by the CA "CN=Root" that is in ca of this tunnel (SHA-256 ` + dn.Fingerprint(remade.Certificate) + `), but by one of the same name with another key: perhaps that CA was made anew; if you trust the new one, add its certificate too`},
		{"expired between", list(leaf, old.Certificate), list(root.Certificate), `"CN=Issuing 1" is valid from 2026-11-28 08:00:00 +00:00 to 2026-11-28 08:59:00 +00:00, and here it is 2026-11-28 09:00:00 +00:00: the target's administrator puts the present certificate of that CA into the file of its certificate`},
		{"SHA-1", list(sha1(t, rsaRoot)), list(rsaRoot.Certificate), `"CN=pacs" is signed with SHA-1 (SHA1-RSA), which isn't accepted: have it issued anew`},
		{"SHA-1 and unknown", list(sha1(t, rsaRoot), rsaRoot.Certificate), list(root.Certificate), `"CN=pacs" is signed with SHA-1 (SHA1-RSA), which isn't accepted: have it issued anew`},
		{"no CA between", list(issue(noCA, "pacs", nil).Certificate, noCA.Certificate), list(root.Certificate), `the certificate "CN=pacs" is signed by "CN=Clerk", which isn't a CA (CA:FALSE), so that no peer accepts it: get one from a CA`},
		{"may not sign", list(issue(noSign, "pacs", nil).Certificate, noSign.Certificate), list(root.Certificate), `the certificate "CN=pacs" is signed by "CN=CRL signer", which may not sign certificates (its key usage), so that no peer accepts it: get one from a CA`},
		{"name written in another way", list(issuing.Certificate), list(printed.Certificate), `"CN=Issuing 1" is signed by "CN=Root", but doesn't have exactly that name as its issuer: have it issued anew`},
		{"unknown", list(leaf, issuing.Certificate, root.Certificate), list(rsaRoot.Certificate), `the CA "CN=Root" (SHA-256 ` + dn.Fingerprint(root.Certificate) + `) isn't trusted here; if you trust it, add its certificate to ca of this tunnel`},
		{"self-signed", list(self), list(root.Certificate), `the self-signed certificate "CN=box" (SHA-256 ` + dn.Fingerprint(self) + `) isn't trusted here; if you trust it, add its certificate to ca of this tunnel`},
		{"for clients", list(forClients, issuing.Certificate), list(root.Certificate), `"CN=pacs" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`},
		{"of a CA for mail", list(issue(mailOnly, "pacs", nil).Certificate, mailOnly.Certificate), list(root.Certificate), `the CA "CN=Mail CA" may not issue certificates for TLS servers, but only for email protection (extended key usage): have a certificate issued by another CA`},
	} {
		t.Run(test.name, func(t *testing.T) {
			judge := Judge{Roots: x509.NewCertPool(), Trusted: test.trusted, Usage: x509.ExtKeyUsageServerAuth, Now: now, Whose: "the target", List: "ca of this tunnel"}
			for _, cert := range test.trusted {
				judge.Roots.AddCert(cert)
			}
			got := ""
			if fault := judge.Verify(test.sent); fault != nil {
				got = fault.Error()
			}
			if got != test.want {
				t.Errorf("\ngot  %s\nwant %s", got, test.want)
			}
			// The CAs of the operating system can't be listed, so the reason says less.
			judge.Trusted = nil
			if fault := judge.Verify(test.sent); (fault == nil) != (test.want == "") {
				t.Errorf("without the list: %v", fault)
			}
		})
	}
}

// A stranger can send anything, so the work that it causes must be bounded.
func TestJudgeIsBounded(t *testing.T) {
	root := issue(nil, "Root", asCA)
	leaf := issue(root, "pacs", nil).Certificate
	sent := []*x509.Certificate{leaf}
	for range 20 {
		sent = append(sent, issue(nil, "Root", asCA).Certificate)
	}
	checks := maxChecks
	if signerIn(sent[1:], leaf, sent[:1], &checks) != nil || checks != 0 {
		t.Errorf("%d checks are left", checks)
	}
	judge := Judge{Roots: x509.NewCertPool(), Usage: x509.ExtKeyUsageClientAuth, Now: now, Whose: "the peer", List: "client_ca"}
	if fault := judge.Verify(sent); fault == nil || !strings.Contains(fault.What, "with another key") {
		t.Error(fault)
	}
}

// What crypto/x509 has verified isn't verified again. So a long chain costs no more to
// explain, and is followed to its end.
func TestJudgeOfLongChain(t *testing.T) {
	top := issue(nil, "Root", asCA)
	sent := []*x509.Certificate{top.Certificate}
	for i := range 7 {
		top = issue(top, fmt.Sprint("CA ", i), asCA)
		sent = append([]*x509.Certificate{top.Certificate}, sent...)
	}
	judge := Judge{Roots: x509.NewCertPool(), Usage: x509.ExtKeyUsageClientAuth, Now: now, Whose: "the peer", List: "client_ca"}
	if fault := judge.Verify(sent); fault == nil || !strings.HasPrefix(fault.What, `the CA "CN=Root"`) {
		t.Error(fault)
	}
}

func TestOwn(t *testing.T) {
	root := issue(nil, "Root", asCA)
	issuing := issue(root, "Issuing", asCA)
	old := sign(root, issuing.Key, "Issuing", expired)
	before := issue(root, "Issuing", asCA)
	future := sign(root, issuing.Key, "Issuing", func(c *x509.Certificate) { asCA(c); c.NotBefore = now.Add(time.Minute) })
	leaf := issue(issuing, "pacs", nil).Certificate
	usage := func(usage x509.ExtKeyUsage) []*x509.Certificate {
		cert := issue(root, "pacs", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} })
		return []*x509.Certificate{cert.Certificate, root.Certificate}
	}
	list := func(certs ...*x509.Certificate) []*x509.Certificate { return certs }
	for _, test := range []struct {
		name    string
		chain   []*x509.Certificate
		usage   x509.ExtKeyUsage
		faults  string
		missing bool
	}{
		{"good", list(leaf, issuing.Certificate, root.Certificate), x509.ExtKeyUsageServerAuth, "", false},
		{"expired between", list(leaf, old.Certificate, root.Certificate), x509.ExtKeyUsageServerAuth, `"CN=Issuing" expired on 2026-11-28 08:59:00 +00:00: get the present chain from the CA`, false},
		{"expired between, and its successor", list(leaf, old.Certificate, issuing.Certificate, root.Certificate), x509.ExtKeyUsageServerAuth, "", false},
		{"not valid yet", list(leaf, future.Certificate, root.Certificate), x509.ExtKeyUsageServerAuth, `"CN=Issuing" isn't valid before 2026-11-28 09:01:00 +00:00, and the clock says 2026-11-28 09:00:00 +00:00: check the clock of this machine`, false},
		{"the one of before", list(leaf, before.Certificate, root.Certificate), x509.ExtKeyUsageServerAuth, `the certificate of "CN=Issuing" in the chain has another key than the one that signed "CN=pacs", as from before a renewal: get the present chain from the CA`, true},
		{"expired, and no part of it", list(leaf, issuing.Certificate, root.Certificate, issue(root, "Other", expired).Certificate), x509.ExtKeyUsageServerAuth, "", false},
		{"leaf alone", list(leaf), x509.ExtKeyUsageServerAuth, "", true},
		{"root alone missing", list(leaf, issuing.Certificate), x509.ExtKeyUsageServerAuth, "", true},
		{"server with a client's", usage(x509.ExtKeyUsageClientAuth), x509.ExtKeyUsageServerAuth, `"CN=pacs" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`, false},
		{"client with a server's", usage(x509.ExtKeyUsageServerAuth), x509.ExtKeyUsageClientAuth, `"CN=pacs" isn't meant for TLS clients, but for TLS server (extended key usage): have one issued with the extended usage "TLS client"`, false},
		{"any use", usage(x509.ExtKeyUsageAny), x509.ExtKeyUsageClientAuth, "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			own := Own{Chain: test.chain, Usage: test.usage, Now: now}
			var got []string
			for _, fault := range own.Faults() {
				got = append(got, fault.Error())
			}
			if strings.Join(got, "\n") != test.faults {
				t.Errorf("\ngot  %s\nwant %s", strings.Join(got, "\n"), test.faults)
			}
			if missing := own.Missing(); (missing != nil) != test.missing {
				t.Error(missing)
			}
		})
	}
}

// The leaf decides which CA the other side would have to trust, whatever else is in the file.
func TestSigner(t *testing.T) {
	root, other := issue(nil, "Root", asCA), issue(nil, "Other", asCA)
	issuing := issue(root, "Issuing", asCA)
	leaf := issue(issuing, "pacs", nil).Certificate
	for _, test := range []struct {
		chain []*x509.Certificate
		want  string
	}{
		{[]*x509.Certificate{leaf, other.Certificate, issuing.Certificate, root.Certificate}, `the CA "CN=Root" (SHA-256 ` + dn.Fingerprint(root.Certificate) + ")"},
		{[]*x509.Certificate{leaf, issuing.Certificate, root.Certificate, other.Certificate}, `the CA "CN=Root" (SHA-256 ` + dn.Fingerprint(root.Certificate) + ")"},
		{[]*x509.Certificate{leaf, other.Certificate}, fmt.Sprintf(`the CA "CN=Issuing" (key id %x), whose own certificate isn't in the chain`, issuing.SubjectKeyId)},
		{[]*x509.Certificate{root.Certificate}, `the self-signed certificate "CN=Root" (SHA-256 ` + dn.Fingerprint(root.Certificate) + ")"},
	} {
		if got := Signer(test.chain); got != test.want {
			t.Errorf("\ngot  %s\nwant %s", got, test.want)
		}
	}
}
