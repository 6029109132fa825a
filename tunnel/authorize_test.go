package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// What a rule matches, and above all what it doesn't.
func TestRules(t *testing.T) {
	cert := testCA().Issue("modality-3", func(c *x509.Certificate) {
		c.Subject = pkix.Name{
			CommonName:         "modality-3",
			Organization:       []string{"Clinic, Inc."},
			OrganizationalUnit: []string{"Radiology", "Röntgen"},
		}
		c.DNSNames = []string{"M3.clinic.example", "a.b.clinic.example", "kelvin.example"}
		c.EmailAddresses = []string{"it@clinic.example", "a@evil.example@clinic.example"}
		spiffe, _ := url.Parse("spiffe://clinic.example/ct/3")
		c.URIs = []*url.URL{spiffe}
		c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 5)}
	}).Certificate
	bare := testCA().Issue("", func(c *x509.Certificate) { c.DNSNames = nil }).Certificate
	star := testCA().Issue("*", func(c *x509.Certificate) { c.DNSNames = []string{"*.clinic.example"} }).Certificate
	two := testCA().Issue("", func(c *x509.Certificate) {
		c.Subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: oidCN, Value: "first"}, {Type: oidCN, Value: "second"}}
	}).Certificate

	type ruleTest struct {
		cert *x509.Certificate
		rule string
		want bool
	}
	tests := []ruleTest{
		{cert, "cn:modality-3", true},
		{cert, "cn:modality-*", true},
		{cert, "cn:modality-3*", true}, // even an empty run
		{cert, "cn:*3", true},
		{cert, "cn:m*t*", true},
		{cert, "cn:*", true},
		{cert, "cn:modality", false},
		{cert, "cn:odality-3", false},
		{cert, "cn:Modality-3", false},
		{cert, "cn:modality-.", false},
		{cert, "cn:modality-?", false},
		{cert, "cn:M3.clinic.example", false}, // another kind of name
		{cert, "dns:modality-3", false},
		{cert, "dns:m3.clinic.example", true},
		{cert, "dns:M3.CLINIC.EXAMPLE", true},
		{cert, "dns:*.clinic.example", true},
		{cert, "dns:*.b.clinic.example", true},
		{cert, "dns:a.*.clinic.example", true},
		{cert, "dns:*.*.clinic.example", true},
		{cert, "dns:*.*.*.clinic.example", false},
		{cert, "dns:clinic.example", false},
		{cert, "dns:*.example", true}, // kelvin.example
		{cert, "dns:*", false},
		{cert, "dns:\u212aelvin.example", false}, // the Kelvin sign
		{cert, "dns:10.0.0.5", false},
		{cert, "email:it@clinic.example", true},
		{cert, "email:*@clinic.example", true},
		{cert, "email:IT@clinic.example", false},
		{cert, "email:b*@clinic.example", false},
		{cert, "email:a*@clinic.example", false}, // no @ in a run
		{cert, "uri:spiffe://clinic.example/ct/*", true},
		{cert, "uri:spiffe://clinic.example/*/3", true},
		{cert, "uri:spiffe://clinic.example/*", false},
		{cert, "uri:spiffe://*/3", false},
		{cert, "o:Clinic, Inc.", true},
		{cert, "o:Clinic*", true},
		{cert, "o:Clinic, Incx", false},
		{cert, "ou:Radiology", true},
		{cert, "ou:Röntgen", true},
		{cert, "ou:R*ntgen", true},
		{cert, "ou:Ro\u0308ntgen", false}, // as two characters
		{cert, "ou:Radiology*Röntgen", false},
		{cert, pinOf(cert), true},
		{cert, pinOf(bare), false},
		{bare, "cn:*", false},
		{bare, "o:*", false},
		{bare, "dns:*", false},
		{star, "cn:*", true},
		{star, "cn:modality-3", false},
		{star, "dns:m3.clinic.example", false}, // their * is no wildcard
		{star, "dns:*.clinic.example", false},  // it isn't for one host
		{star, "dns:*.*.example", false},
		{two, "cn:first", true},
		{two, "cn:second", true},
	}
	for uri, want := range map[string]bool{
		"spiffe://clinic.example/ct/3":        true,
		"spiffe://clinic.example/ct/a.b-c_d~": true,
		"spiffe://clinic.example/ct/a:b@c":    true,
		"spiffe://clinic.example/ct/":         false,
		"spiffe://clinic.example/ct/3/4":      false,
		"spiffe://clinic.example/ct/3?admin":  false,
		"spiffe://clinic.example/ct/3#admin":  false,
		"spiffe://clinic.example/ct/3%2Fmri":  false,
		"spiffe://clinic.example/ct/3%2fmri":  false,
		"spiffe://clinic.example/ct/%2E%2E":   false,
		"spiffe://clinic.example/ct/..":       false,
		"spiffe://clinic.example/ct/.":        false,
	} {
		cert := testCA().Issue("", func(c *x509.Certificate) {
			parsed, err := url.Parse(uri)
			check(t, err)
			c.URIs = []*url.URL{parsed}
		}).Certificate
		tests = append(tests, ruleTest{cert, "uri:spiffe://clinic.example/ct/*", want}, ruleTest{cert, "uri:" + uri, true})
	}
	for _, name := range []string{"m*.clinic.example", "a b.clinic.example", "a\x00.clinic.example", "a/b.clinic.example"} {
		cert := testCA().Issue("", func(c *x509.Certificate) { c.DNSNames = []string{name} }).Certificate
		tests = append(tests, ruleTest{cert, "dns:*.clinic.example", false})
	}
	for _, tt := range tests {
		kind, pattern, _ := strings.Cut(tt.rule, ":")
		r := newRule(Rule{kind, pattern})
		got := false
		for _, name := range namesOf(tt.cert) {
			got = got || r.matches(name)
		}
		if got != tt.want {
			t.Errorf("%s and %v: got %v, want %v", tt.rule, namesOf(tt.cert), got, tt.want)
		}
	}
}

// requireCert makes a server tunnel demand certificates of the test CA.
func requireCert(s *Settings) {
	s.Front.ClientAuth, s.Front.ClientCAs = tls.RequireAndVerifyClientCert, testCA().Pool()
}

// A peer that matches no rule never reaches the target, not by a resumed session either. The
// log says what the peer has, and what the rules ask for.
func TestAllow(t *testing.T) {
	leakCheck(t)
	var settings Settings
	p := newPath(t, "server", func(s *Settings) {
		requireCert(s)
		s.Front.SetSessionTicketKeys([][32]byte{{1}}) // the same after Apply, which shouldn't matter
		s.Allow = []Rule{{"cn", "ct-*"}, {"dns", "modality-7.*"}, {"cn", "modality-*"}, {"dns", "modality-7"}}
		settings = *s
	})
	good, stranger := clientTLS(), clientTLS()
	good.Certificates = []tls.Certificate{clientCert()}
	good.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	other := testCA().Issue("stranger", func(c *x509.Certificate) { c.DNSNames = nil }).TLS()
	stranger.Certificates = []tls.Certificate{other}

	for i, resumed := range []string{"false", "true"} {
		peer := mustDialTLS(t, p.tunnels[0].addr, good)
		target, err := p.accept()
		check(t, err, exchange(peer, target))
		rec := closeBoth(t, p, i, peer, target)
		if rec.text("allow") != "cn:modality-*" || rec.text("resumed") != resumed {
			t.Errorf("connection %d: %v", i, rec)
		}
	}

	for i := range 3 { // each has its line
		refusedTLS(t, p.tunnels[0].addr, stranger)
		p.tunnels[0].logs.expect(t, 2+i, slog.LevelWarn, "connection refused", byTunnel, fmt.Sprintf(
			`nothing in the peer's certificate is in allow: it has "%s", "cn:stranger"; allow has "cn:ct-*", "dns:modality-7.*", "cn:modality-*", "dns:modality-7"`, pinOf(other.Leaf)))
	}
	if n := p.tunnels[0].Stats(); n.Refused != 3 || n.Completed != 2 {
		t.Errorf("got %+v", n)
	}

	// A session that was begun before the rules changed.
	s, logs := complete(settings)
	s.Allow = []Rule{{"cn", "ct-*"}}
	p.tunnels[0].Apply(s)
	refusedTLS(t, p.tunnels[0].addr, good)
	if rec := logs.next(t, 0); rec.message != "connection refused" || rec.text("resumed") != "true" {
		t.Errorf("resumed: %v", rec)
	}
}

// Rules without certificates let no peer in.
func TestAllowWithoutCertificate(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", func(s *Settings) { s.Allow = []Rule{{"cn", "*"}} })
	refusedTLS(t, p.tunnels[0].addr, clientTLS())
	p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "connection refused", byTunnel,
		`nothing in the peer's certificate is in allow: it has nothing; allow has "cn:*"`)
}

// TestOwnKeyIsNoClient: a peer that shows the key of our own server certificate isn't let in
// as a client, unless a rule names the key.
func TestOwnKeyIsNoClient(t *testing.T) {
	own := testCA().Issue(serverName).TLS()
	for _, tt := range []struct {
		name  string
		allow []Rule
		want  bool
	}{
		{"no rules", nil, false},
		{"a rule that it would match", []Rule{{"cn", "*"}, {"dns", serverName}}, false},
		{"a rule for another key", []Rule{{"sha256", strings.TrimPrefix(pinOf(clientCert().Leaf), "sha256:")}}, false},
		{"a rule for its key", []Rule{{"sha256", strings.TrimPrefix(pinOf(own.Leaf), "sha256:")}}, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", func(s *Settings) {
				requireCert(s)
				// Another certificate of the key, as after a renewal.
				renewed := testCA().IssueFor(own.PrivateKey, serverName).Certificate
				s.Own, s.Allow = []*x509.Certificate{serverCert().Leaf, renewed}, tt.allow
			})
			config := clientTLS()
			config.Certificates = []tls.Certificate{own}
			if !tt.want {
				refusedTLS(t, p.tunnels[0].addr, config)
				rec := p.tunnels[0].logs.next(t, 0)
				if reason := rec.text("reason"); rec.message != "connection refused" || !strings.Contains(reason, "own server certificate") || !strings.Contains(reason, pinOf(own.Leaf)) {
					t.Error(rec)
				}
				return
			}
			peer := mustDialTLS(t, p.tunnels[0].addr, config)
			target, err := p.accept()
			check(t, err, exchange(peer, target))
			closeBoth(t, p, 0, peer, target)
		})
	}
}

// TestOwnKeyInAnotherEncoding: the tunnel compares keys, not the bytes of their encoding.
func TestOwnKeyInAnotherEncoding(t *testing.T) {
	own := testCA().IssueFor(testkit.RSAKey(2048), serverName).TLS().Leaf
	var info struct {
		Algorithm asn1.RawValue
		Key       asn1.BitString
	}
	_, err := asn1.Unmarshal(own.RawSubjectPublicKeyInfo, &info)
	check(t, err)
	info.Key.Bytes = append(info.Key.Bytes, 1) // x509 ignores what comes behind
	info.Key.BitLength += 8
	der, err := asn1.Marshal(info)
	check(t, err)
	key, err := x509.ParsePKIXPublicKey(der)
	check(t, err)

	s := &settings{Settings: Settings{Own: []*x509.Certificate{own}}}
	if !s.isOwn(&x509.Certificate{RawSubjectPublicKeyInfo: der, PublicKey: key}) {
		t.Error("it is taken for another key")
	}
	if s.isOwn(testCA().IssueFor(testkit.RSAKey(2056), serverName).TLS().Leaf) || s.isOwn(clientCert().Leaf) {
		t.Error("another key is taken for it")
	}
}

// refusedTLS connects and checks that it gets nothing but an error.
func refusedTLS(t *testing.T, addr string, config *tls.Config) {
	t.Helper()
	peer := mustDial(t, addr)
	err := peer.secure(tls.Client, config)
	if err == nil { // in TLS 1.3, the server's verdict comes later
		_, err = peer.Read(make([]byte, 1))
	}
	peer.tcp.Close()
	if err == nil {
		t.Error("the peer was let in")
	}
}
