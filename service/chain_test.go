package service

import (
	"crypto/x509"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/testkit"
	"tlstunnel/service/compile"
)

// pairFile writes certificates, the leaf first, and the key into one file.
func pairFile(t *testing.T, leaf *testkit.Cert, above ...*testkit.Cert) string {
	t.Helper()
	data := leaf.KeyPEM()
	for _, c := range append([]*testkit.Cert{leaf}, above...) {
		data = append(data, c.PEM()...)
	}
	return testkit.WriteFile(t, filepath.Join(t.TempDir(), "pair.pem"), data)
}

// lasting makes a certificate last longer than any warning looks ahead.
func lasting(c *x509.Certificate) { c.NotAfter = time.Now().AddDate(1, 0, 0) }

// TestChainThatOthersRefuse: check, a start and a reload warn of such a chain. The file has
// the key too, and key isn't set.
func TestChainThatOthersRefuse(t *testing.T) {
	root := testkit.NewCA("Root", lasting)
	issuing := root.Issue("Issuing", testkit.AsCA, lasting)
	expired := root.Issue("Issuing", testkit.AsCA, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) })
	leaf := issuing.Issue("pacs", lasting)
	only := func(usage x509.ExtKeyUsage) *testkit.Cert {
		return root.Issue("pacs", lasting, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} })
	}
	for _, tt := range []struct{ name, mode, file, want string }{
		{"good", "server", pairFile(t, leaf, issuing, root), ""},
		{"expired in between", "server", pairFile(t, expired.Issue("pacs", lasting), expired, root), `"CN=Issuing" expired on `},
		{"missing in between", "server", pairFile(t, leaf), `the chain ends with "CN=pacs", and its issuer "CN=Issuing" isn't in it: unless that is a root that the other side has, an intermediate certificate is missing, which the CA offers as chain or bundle; add it to the file`},
		{"for clients", "server", pairFile(t, only(x509.ExtKeyUsageClientAuth), root), `"CN=pacs" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`},
		{"for servers", "client", pairFile(t, only(x509.ExtKeyUsageServerAuth), root), `"CN=pacs" isn't meant for TLS clients, but for TLS server (extended key usage): have one issued with the extended usage "TLS client"`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			text := fmt.Sprintf("[[tunnel]]\nname = \"a\"\nmode = %q\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost.:1\"\ncert = %q\n", tt.mode, tt.file)
			cfg := load(t, text)
			problems := compile.Check(cfg, time.Now())
			if tt.want == "" {
				if len(problems) > 0 {
					t.Errorf("got %v", problems)
				}
				return
			}
			if len(problems) != 1 || !problems[0].Warning || problems[0].Line != 7 || !strings.HasPrefix(problems[0].Text, tt.want) {
				t.Errorf("got %v", problems)
			}
			s := startService(t, text)
			quoted := strings.ReplaceAll(tt.want, `"`, `\"`)
			s.log.AwaitCount(t, quoted, 1)
			s.reload(text + "keepalive = \"1m\"\n")
			s.log.AwaitCount(t, quoted, 2)
		})
	}
	// If a root is missing that the other side is likely to have, there is no warning.
	fromRoot, ca := pairFile(t, root.Issue("pacs", lasting)), pairFile(t, root)
	text := fmt.Sprintf("[[tunnel]]\nname = \"a\"\nmode = \"client\"\nlisten = \"127.0.0.1:0\"\ntarget = \"localhost.:1\"\ncert = %q\nca = %q\n", fromRoot, ca)
	cfg := load(t, text)
	if problems := compile.Check(cfg, time.Now()); len(problems) > 0 {
		t.Errorf("got %v", problems)
	}
	tunnels, _ := compile.Tunnels(cfg, nil, time.Now())
	if target := tunnels[0].Settings.Targets[0]; target.TLS.ServerName != "localhost" || target.Address != "localhost.:1" {
		t.Errorf("got %q at %q", target.TLS.ServerName, target.Address)
	}
}

// TestCertWithoutKey: if a file has no key, the error says so, and what to do.
func TestCertWithoutKey(t *testing.T) {
	file := testkit.WriteFile(t, filepath.Join(t.TempDir(), "pacs.crt"), testkit.NewCA("CA").Issue("pacs").PEM())
	for _, mode := range []string{config.ModeServer, config.ModeClient} {
		cfg := load(t, fmt.Sprintf("[[tunnel]]\nname = \"a\"\nmode = %q\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\ncert = %q\n", mode, file))
		problems := compile.Check(cfg, time.Now())
		want := fmt.Sprintf("key %q holds a certificate where a private key is needed: as key isn't set, it must be in this file; or name its file with key", file)
		if len(problems) != 1 || problems[0].Warning || problems[0].Text != want {
			t.Errorf("got %v", problems)
		}
	}
}

// TestKeyTypeOfTheCA: a key type that is set after the CA was made has no effect, and a
// warning says so.
func TestKeyTypeOfTheCA(t *testing.T) {
	const server = "[[tunnel]]\nname = \"a\"\nmode = \"server\"\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\n"
	cfg := load(t, server)
	_, _, err := ownpki.Make(t.Context(), cfg)
	check(t, err)
	if problems := compile.Check(cfg, time.Now()); len(problems) > 0 {
		t.Errorf("got %v", problems)
	}
	cfg.PKI.KeyType = "rsa-2048"
	problems := compile.Check(cfg, time.Now())
	if len(problems) != 1 || !problems[0].Warning || !strings.HasPrefix(problems[0].Text, `pki.key_type is "rsa-2048", but the CA that exists has a key of the type ecdsa-p256, and key_type has no effect on it: `) {
		t.Errorf("got %v", problems)
	}
}
