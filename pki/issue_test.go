package pki

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

func TestKeyTypes(t *testing.T) {
	want := map[string]string{
		"ecdsa-p256": "ECDSA P-256", "ecdsa-p384": "ECDSA P-384", "ed25519": "Ed25519",
		"rsa-2048": "RSA 2048 bits", "rsa-3072": "RSA 3072 bits", "rsa-4096": "RSA 4096 bits",
	}
	if len(KeyTypes()) != len(want) {
		t.Errorf("got %q", KeyTypes())
	}
	for _, keyType := range KeyTypes() {
		t.Run(keyType, func(t *testing.T) {
			t.Parallel() // RSA takes its time
			store := ensure(t, func(s *Settings) { s.KeyType = keyType })
			for _, cert := range []*x509.Certificate{store.CA, store.Server.Leaf} {
				if got := certfile.Describe(cert, now).PublicKey; got != want[keyType] {
					t.Errorf("got %s, want %s", got, want[keyType])
				}
			}
			verify(t, store)
		})
	}
}

// verify lets Go and openssl verify the chain, in both roles.
func verify(t *testing.T, store *Store) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AddCert(store.CA)
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		for _, name := range []string{"localhost", "pacs01", "pacs01.clinic.example", "[192.0.2.7]", "[127.0.0.1]", "[::1]"} {
			_, err := store.Server.Leaf.Verify(x509.VerifyOptions{
				Roots: roots, DNSName: name, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
			})
			if err != nil {
				t.Errorf("Go: %s: %v", name, err)
			}
		}
	}

	l := layoutOf(store.Dir)
	at := "1795420800" // 2026-11-23 08:00 UTC
	testkit.Run(t, "openssl", "verify", "-attime", at, "-CAfile", l.caCert, l.serverCert)
	testkit.Run(t, "openssl", "verify", "-attime", at, "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "localhost", "-CAfile", l.caCert, l.serverCert)
	testkit.Run(t, "openssl", "verify", "-attime", at, "-x509_strict", "-purpose", "sslclient", "-verify_ip", "192.0.2.7", "-CAfile", l.caCert, l.serverCert)
}

// TestTutorial issues the certificates for which the tutorial needs six openssl commands.
func TestTutorial(t *testing.T) {
	store := ensure(t, func(s *Settings) {
		s.KeyType = "rsa-2048"
		s.CAValidity = 36_500 * 24 * time.Hour
		s.CertValidity = 36_500 * 24 * time.Hour
		s.Subject = dn.Subject{
			Country: "KR", State: "Gyeonggi-do", Locality: "Anyang", Organization: "Example Co., Ltd.",
			OrganizationalUnit: "R&D", CommonName: "pacs.example", Email: "admin@pacs.example",
		}
	})
	verify(t, store)

	l := layoutOf(store.Dir)
	subject := testkit.Run(t, "openssl", "x509", "-in", l.serverCert, "-noout", "-subject", "-issuer", "-nameopt", "sep_comma_plus,show_type")
	for _, want := range []string{
		"subject=C=PRINTABLESTRING:KR,ST=PRINTABLESTRING:Gyeonggi-do,L=PRINTABLESTRING:Anyang,O=PRINTABLESTRING:Example Co., Ltd.,OU=UTF8STRING:R&D,CN=PRINTABLESTRING:pacs.example,emailAddress=IA5STRING:admin@pacs.example\n",
		"CN=PRINTABLESTRING:tlstunnel CA PACS01 2026-11-23,emailAddress=IA5STRING:admin@pacs.example\n",
	} {
		if !strings.Contains(subject, want) {
			t.Errorf("got  %s\nwant %s", subject, want)
		}
	}

	ca := testkit.Run(t, "openssl", "x509", "-in", l.caCert, "-noout", "-text")
	server := testkit.Run(t, "openssl", "x509", "-in", l.serverCert, "-noout", "-text")
	for _, test := range []struct{ text, want string }{
		{ca, "Not Before: Nov 23 06:40:00 2026 GMT"},
		{ca, "Not After : Oct 30 07:40:00 2126 GMT"},
		{ca, "X509v3 Basic Constraints: critical\n CA:TRUE, pathlen:0\n"},
		{ca, "X509v3 Key Usage: critical\n Certificate Sign, CRL Sign\n"},
		{ca, "X509v3 Subject Key Identifier: \n"},
		{server, "Not After : Oct 30 07:40:00 2126 GMT"},
		{server, "Public-Key: (2048 bit)"},
		{server, "Signature Algorithm: sha256WithRSAEncryption"},
		{server, "X509v3 Basic Constraints: critical\n CA:FALSE\n"},
		{server, "X509v3 Key Usage: critical\n Digital Signature, Key Encipherment\n"},
		{server, "X509v3 Extended Key Usage: \n TLS Web Server Authentication, TLS Web Client Authentication\n"},
		{server, "X509v3 Subject Key Identifier: \n"},
		{server, "X509v3 Authority Key Identifier: \n"},
		{server, "DNS:localhost, DNS:pacs.example, DNS:pacs01, DNS:pacs01.clinic.example, IP Address:127.0.0.1, IP Address:192.0.2.7, IP Address:0:0:0:0:0:0:0:1\n"},
	} {
		if !strings.Contains(unindent(test.text), test.want) {
			t.Errorf("want %q in\n%s", test.want, test.text)
		}
	}
}

// unindent leaves one space of the indentation.
func unindent(text string) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(" " + strings.TrimLeft(line, " "))
	}
	return b.String()
}

func TestServerDoesNotOutliveCA(t *testing.T) {
	store := ensure(t, func(s *Settings) {
		s.CAValidity = 30 * 24 * time.Hour
		s.CertValidity = 365 * 24 * time.Hour
	})
	if got, want := store.Server.Leaf.NotAfter, store.CA.NotAfter; !got.Equal(want) {
		t.Errorf("got server NotAfter %v, want that of the CA, %v", got, want)
	}
}

func TestChainAndKeys(t *testing.T) {
	store := ensure(t, nil)
	if got := store.Server.Certificate; len(got) != 2 || string(got[0]) != string(store.Server.Leaf.Raw) || string(got[1]) != string(store.CA.Raw) {
		t.Error("want the chain to be the leaf and the CA")
	}
	if got := store.Server.Leaf.KeyUsage; got != x509.KeyUsageDigitalSignature {
		t.Errorf("ECDSA: got key usage %b, want digitalSignature only", got)
	}
	for _, name := range []string{"ca.key", "server.key"} {
		data := readFile(t, filepath.Join(store.Dir, name))
		if !strings.HasPrefix(string(data), "-----BEGIN PRIVATE KEY-----\n") {
			t.Errorf("%s isn't PKCS#8 in PEM", name)
		}
	}
	if a, b := store.CA.SerialNumber, store.Server.Leaf.SerialNumber; a.Cmp(b) == 0 || a.BitLen() > 128 || a.BitLen() < 64 {
		t.Errorf("got serial numbers %x and %x", a, b)
	}
}

func TestSubjectAltNames(t *testing.T) {
	m := machine{host: "Büro PC", fqdn: "under_score.example."}
	names, ips := m.subjectAltNames([]string{"*.Example", "B.example", "b.example", "10.0.0.1", "::ffff:10.0.0.1", "fe80::1%eth0", "224.0.0.1", "not a name"})
	if want := []string{"*.example", "b.example", "localhost"}; !slices.Equal(names, want) {
		t.Errorf("got names %q, want %q", names, want)
	}
	want := []net.IP{net.IPv4(10, 0, 0, 1), net.IPv4(127, 0, 0, 1), net.IPv6loopback, net.ParseIP("fe80::1")}
	if !slices.EqualFunc(ips, want, net.IP.Equal) {
		t.Errorf("got addresses %v, want %v", ips, want)
	}
}

func TestDNSNames(t *testing.T) {
	for name, want := range map[string]bool{
		"host": true, "a.example": true, "a_b.example": true, "1.2.example": true, "*.example": true, "xn--bro-hoa.example": true,
		"": false, "*": false, "a..example": false, "a.example.": false, "-a.example": false, "büro.example": false, "a b": false,
		"a.*.example": false, "a@b": false, strings.Repeat("a", 64): false, strings.Repeat("a.", 127): false,
	} {
		if got := isDNSName(name); got != want {
			t.Errorf("%q: got %t, want %t", name, got, want)
		}
	}
}

// TestOddMachines: machines with names that a certificate can't have.
func TestOddMachines(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, test := range []struct {
		m        machine
		caCN, cn string
	}{
		{machine{}, "tlstunnel CA  2026-11-23", "localhost"},
		{machine{host: "Büro PC\x1b"}, "tlstunnel CA Büro PC 2026-11-23", "Büro PC"},
		{machine{host: "\xff\xfe"}, "tlstunnel CA  2026-11-23", "localhost"},
		{machine{host: long, fqdn: long + ".example"}, "tlstunnel CA " + long[:40] + " 2026-11-23", long},
	} {
		s := testSettings(t.TempDir())
		ca, err := s.newCA(caCommonName(test.m.host, now.Format(time.DateOnly)), 0, now)
		if err != nil {
			t.Fatal(err)
		}
		cert, _, err := s.newServer(ca, test.m, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := ca.cert.Subject.CommonName; got != test.caCN || len([]rune(got)) > dn.MaxCommonName {
			t.Errorf("%q: got CA %q, want %q", test.m.host, got, test.caCN)
		}
		if got := cert.Subject.CommonName; got != test.cn {
			t.Errorf("%q: got CN %q, want %q", test.m.host, got, test.cn)
		}
	}
}

func TestLookUpMachine(t *testing.T) {
	start := time.Now()
	m := lookUpMachine(t.Context())
	if took := time.Since(start); took > 2*fqdnTimeout {
		t.Errorf("took %v, want at most %v", took, fqdnTimeout)
	}
	if m.host == "" || len(m.ips) == 0 {
		t.Errorf("got %+v, want a host name and addresses", m)
	}
}

// TestAppleLife: a certificate for 825 days lasts no longer than that from its begin to its
// end. If more days are asked for, it lasts longer.
func TestAppleLife(t *testing.T) {
	const life = appleDays * day
	for _, validity := range []time.Duration{day, life - day, life, life + day, 3650 * day} {
		store := ensure(t, func(s *Settings) { s.CertValidity = validity })
		a := openAuthority(t, store.Dir, now)
		server, _, err := a.Issue(Request{Name: "pacs.example", Server: true, Validity: validity, Exact: true}, "ecdsa-p256", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		client, _, err := a.Issue(Request{Name: "client", Client: true, Validity: validity}, "ecdsa-p256", t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		for _, cert := range []*x509.Certificate{server, store.Server.Leaf} {
			// RFC 5280 counts the last second, too.
			if got := cert.NotAfter.Sub(cert.NotBefore) + time.Second; (got <= life) != (validity <= life) || now.Add(validity).Sub(cert.NotAfter) > backdate+time.Second {
				t.Errorf("%v: got %v", validity, got)
			}
			if text := TooLongForApple(cert.NotAfter.Sub(cert.NotBefore)); (text == "") != (validity <= life) {
				t.Errorf("%v: says %q", validity, text)
			}
		}
		if !client.NotAfter.Equal(now.Add(validity)) {
			t.Errorf("client, %v: ends on %v", validity, client.NotAfter)
		}
	}
	if text := TooLongForApple(3650 * day); text != "a server certificate for 3650 days: Apple's systems refuse those of more than 825, also from a CA of your own; others take it" {
		t.Errorf("got %q", text)
	}
}

// TestLongName: a DNS name of more than 64 letters is among the names of a certificate, but
// is too long for its common name.
func TestLongName(t *testing.T) {
	const long = "imaging-archive-front-service.imaging-archive-front-system.cluster.example"
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	label := strings.Repeat("a", 63)
	for name, common := range map[string]string{
		long:                                 "imaging-archive-front-service",
		label + "." + label + "." + label:    label,
		strings.Repeat("a", 56) + ".example": strings.Repeat("a", 56) + ".example", // 64
	} {
		cert, _, err := a.Issue(Request{Name: name, Server: true, Validity: day}, "ecdsa-p256", t.TempDir())
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if cert.Subject.CommonName != common || cert.VerifyHostname(name) != nil || len(cert.DNSNames) != 1 {
			t.Errorf("got %q, %q", cert.Subject.CommonName, cert.DNSNames)
		}
		if found, err := a.Find(name); err != nil || found.Serial != SerialText(cert) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
	for name, want := range map[string]string{
		strings.Repeat(label[1:]+".", 3) + label: "is too long for a file, 252 bytes, at most 200 are allowed: give a shorter one, and the whole by --dns",
		strings.Repeat(label+".", 4) + "example": "is too long for a file",
	} {
		if _, _, err := a.Issue(Request{Name: name, Server: true, Validity: day}, "ecdsa-p256", t.TempDir()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d: got %v", len(name), err)
		}
	}

	// A request by openssl has no common name of that length either.
	out := t.TempDir()
	files, err := NewCSR(Request{Name: long}, "ecdsa-p256", out, store.Dir)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := certfile.ReadCSR(files[1])
	if err != nil || csr.Subject.CommonName != "imaging-archive-front-service" || !slices.Equal(csr.DNSNames, []string{long}) {
		t.Errorf("got %v, %v", csr, err)
	}
	_, err = NewCSR(Request{Name: "x", Subject: dn.Subject{CommonName: long}, DNSNames: []string{long}}, "ecdsa-p256", out, store.Dir)
	if want := "common name \"" + long + "\" is too long: 74 characters, at most 64 are allowed: give a shorter one with --common-name, and the whole by --dns"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	csr.Subject = pkix.Name{} // a partner's may have none
	cert, _, err := a.SignCSR(csr, Request{Server: true, Validity: day}, out)
	if err != nil || cert.VerifyHostname(long) != nil {
		t.Errorf("got %v", err)
	}
}
