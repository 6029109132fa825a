package service

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/ownpki"
	"tlstunnel/service/compile"
)

// signer is a CA for tests, or a leaf.
type signer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func (s *signer) sign(t *testing.T, name string, edit func(*x509.Certificate)) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{"localhost"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
	}
	if edit != nil {
		edit(template)
	}
	parent, parentKey := template, crypto.Signer(key)
	if s != nil {
		parent, parentKey = s.cert, s.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	return &signer{cert, key}
}

// file writes certificates, the leaf first, and its key into one.
func (s *signer) file(t *testing.T, above ...*signer) string {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(s.key)
	check(t, err)
	data := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})
	for _, c := range append([]*signer{s}, above...) {
		data = append(data, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.cert.Raw})...)
	}
	file := filepath.Join(t.TempDir(), "pair.pem")
	check(t, os.WriteFile(file, data, 0o600))
	return file
}

func asCA(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true }

// TestChainThatOthersRefuse: check, the start and a reload warn of it. The file has the
// key too, and key isn't set.
func TestChainThatOthersRefuse(t *testing.T) {
	root := (*signer)(nil).sign(t, "Root", asCA)
	issuing := root.sign(t, "Issuing", asCA)
	expired := root.sign(t, "Issuing", func(c *x509.Certificate) { asCA(c); c.NotAfter = time.Now().Add(-time.Minute) })
	leaf := issuing.sign(t, "pacs", nil)
	only := func(usage x509.ExtKeyUsage) *signer {
		return root.sign(t, "pacs", func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{usage} })
	}
	for _, tt := range []struct{ name, mode, file, want string }{
		{"good", "server", leaf.file(t, issuing, root), ""},
		{"expired in between", "server", expired.sign(t, "pacs", nil).file(t, expired, root), `"CN=Issuing" expired on `},
		{"missing in between", "server", leaf.file(t), `the chain ends with "CN=pacs", and its issuer "CN=Issuing" isn't in it: unless that is a root that the other side has, an intermediate certificate is missing, which the CA offers as chain or bundle; add it to the file`},
		{"for clients", "server", only(x509.ExtKeyUsageClientAuth).file(t, root), `"CN=pacs" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`},
		{"for servers", "client", only(x509.ExtKeyUsageServerAuth).file(t, root), `"CN=pacs" isn't meant for TLS clients, but for TLS server (extended key usage): have one issued with the extended usage "TLS client"`},
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
	// A root that the other side is likely to have isn't missed.
	fromRoot, ca := root.sign(t, "pacs", nil).file(t), root.file(t)
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

// TestCertWithoutKey: a file that has no key says so, and what to do.
func TestCertWithoutKey(t *testing.T) {
	leaf := (*signer)(nil).sign(t, "pacs", nil)
	file := filepath.Join(t.TempDir(), "pacs.crt")
	check(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.cert.Raw}), 0o600))
	for _, mode := range []string{config.ModeServer, config.ModeClient} {
		cfg := load(t, fmt.Sprintf("[[tunnel]]\nname = \"a\"\nmode = %q\nlisten = \"127.0.0.1:0\"\ntarget = \"127.0.0.1:1\"\ncert = %q\n", mode, file))
		problems := compile.Check(cfg, time.Now())
		want := fmt.Sprintf("key %q holds a certificate where a private key is needed: as key isn't set, it must be in this file; or name its file with key", file)
		if len(problems) != 1 || problems[0].Warning || problems[0].Text != want {
			t.Errorf("got %v", problems)
		}
	}
}

// TestKeyTypeOfTheCA: a key type that came after the CA does nothing, and says so.
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
