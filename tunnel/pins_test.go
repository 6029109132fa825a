package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
)

func TestPins(t *testing.T) {
	good := serverCert()
	old := testCA().Issue("other.example", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }).TLS()
	selfSigned := selfSign(t, 2048)
	weak := selfSign(t, 1024)
	leaf, ca, none := pinOf(good.Leaf), pinOf(testCA().Certificate), pinOf(testkit.NewCA("").Certificate)
	strangers := testkit.NewCA("Strangers' CA")
	const refused = "tlstunnel refused the target's certificate: "
	otherKey := func(c tls.Certificate) string {
		return refused + "its key is " + pinOf(c.Leaf) + ", which isn't pinned: either it has a new key or this is another machine; " +
			"if its administrator confirms this key, for example by phone, write it in pins, which has " + none
	}
	tests := []struct {
		name   string
		ca     *testkit.Cert // nil: pins alone
		pins   []string
		shows  tls.Certificate
		reason string // "": it is taken
	}{
		{"alone, the right one", nil, []string{leaf}, good, ""},
		{"alone, the second of two", nil, []string{none, leaf}, good, ""},
		{"alone, another one", nil, []string{none}, good, otherKey(good)},
		{"alone, expired, with another name", nil, []string{pinOf(old.Leaf)}, old, ""},
		{"alone, self-signed, expired and for nothing", nil, []string{pinOf(selfSigned.Leaf)}, selfSigned, ""},
		{"alone, self-signed, another one", nil, []string{none}, selfSigned, otherKey(selfSigned)},
		{"alone, the CA's, which anybody can send along", nil, []string{ca}, good,
			strings.ReplaceAll(otherKey(good), none, ca)},
		{"alone, too weak", nil, []string{pinOf(weak.Leaf)}, weak,
			refused + fmt.Sprintf("%q has a weak key, RSA with 1024 bits: one with at least 2048 is needed", dn.Text(weak.Leaf.Subject))},
		{"alone, a fingerprint", nil, []string{pinText(good.Leaf.Raw)}, good,
			refused + `pins has the fingerprint of the whole certificate "CN=pacs.clinic.example", but must have that of its key: write ` + leaf},
		{"with ca, the leaf's", testCA(), []string{leaf}, good, ""},
		{"with ca, the CA's", testCA(), []string{ca}, good, ""},
		{"with ca, another one", testCA(), []string{none}, good,
			refused + fmt.Sprintf(`its CA is trusted, but no key in its chain is pinned: it has %s of "CN=pacs.clinic.example", %s of "CN=Clinic CA"; if its administrator confirms one of them, for example by phone, write that in pins, which has %s`, leaf, ca, none)},
		{"with ca, a fingerprint of the CA", testCA(), []string{pinText(testCA().Raw)}, good,
			refused + `pins has the fingerprint of the whole certificate "CN=Clinic CA", but must have that of its key: write ` + ca},
		{"with another ca, the leaf's", strangers, []string{leaf}, good,
			refused + `the CA "CN=Clinic CA" (SHA-256 ` + fingerprint(testCA().Raw) + `) isn't trusted here; if you trust it, add its certificate to ca of this tunnel`},
		{"with ca, expired", testCA(), []string{pinOf(old.Leaf)}, old, refused},
		{"with ca, self-signed", testCA(), []string{pinOf(selfSigned.Leaf)}, selfSigned, refused},
	}
	for _, test := range tests {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(test.name+"/"+tls.VersionName(version), func(t *testing.T) {
				leakCheck(t)
				config := clientTLS()
				config.RootCAs = nil
				if test.ca != nil {
					config.RootCAs = test.ca.Pool()
				}
				Pin(config, test.pins)
				target := listen(t)
				r := start(t, Settings{Targets: []Target{{Address: target.Addr().String(), TLS: config}}})
				peer := mustDial(t, r.addr)
				accepted, err := target.Accept()
				check(t, err)
				back := newEnd(accepted)
				defer back.tcp.Close()
				err = back.secure(tls.Server, &tls.Config{Certificates: []tls.Certificate{test.shows}, MaxVersion: version})
				if test.reason == "" {
					check(t, err, exchange(peer, back))
					return
				}
				wantReset(t, peer)
				if test.reason != refused {
					r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel, test.reason)
				} else if rec := r.logs.next(t, 0); !strings.HasPrefix(rec.text("reason"), refused) {
					t.Error(rec)
				}
			})
		}
	}
}

// The tunnel checks the pins of a resumed session too. So a config that shares the session
// cache of another one can't get around them.
func TestPinsAndResumption(t *testing.T) {
	for name, roots := range map[string]*x509.CertPool{"alone": nil, "with ca": testCA().Pool()} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			server := serverTLS()
			cache := tls.NewLRUClientSessionCache(0)
			for i, test := range []struct{ pin, resumed string }{
				{pinOf(serverCert().Leaf), "false"},
				{pinOf(serverCert().Leaf), "true"},
				{pinOf(testkit.NewCA("").Certificate), ""},
			} {
				p := newPath(t, "client", func(s *Settings) {
					s.Targets[0].TLS.ClientSessionCache, s.Targets[0].TLS.RootCAs = cache, roots
					Pin(s.Targets[0].TLS, []string{test.pin})
				})
				peer := mustDial(t, p.tunnels[0].addr)
				accepted, err := p.target.Accept()
				check(t, err)
				target := newEnd(accepted)
				defer target.tcp.Close()
				err = target.secure(tls.Server, server)
				if test.resumed == "" {
					wantReset(t, peer)
					if rec := p.tunnels[0].logs.next(t, 0); !strings.Contains(rec.text("reason"), "pinned") {
						t.Error(rec)
					}
					continue
				}
				check(t, err, exchange(peer, target))
				if rec := closeBoth(t, p, 0, peer, target); rec.text("resumed") != test.resumed {
					t.Errorf("connection %d: %v", i, rec)
				}
			}
		})
	}
}

// selfSign makes the kind of certificate that an old appliance has: signed by no CA, without
// a name or a usage, and expired.
func selfSign(t *testing.T, bits int) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		Subject:      pkix.Name{CommonName: "Old Box"},
		NotBefore:    time.Now().Add(-48 * time.Hour),
		NotAfter:     time.Now().Add(-24 * time.Hour),
	}
	return testkit.Sign(template, testkit.RSAKey(bits), nil).TLS()
}
