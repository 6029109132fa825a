package certfile

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var now = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

func init() { time.Local = time.UTC } // messages have local time

// authority is a CA with a server certificate, in the files ca.crt, ca.key, server.crt
// and server.key of a folder.
type authority struct {
	dir    string
	ca     *x509.Certificate
	key    crypto.Signer
	server tls.Certificate
}

func newAuthority(t *testing.T, name string) *authority {
	t.Helper()
	a := &authority{dir: t.TempDir()}
	a.ca, a.key = a.issue(t, "ca", &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	})
	leaf, key := a.issue(t, "server", &x509.Certificate{Subject: pkix.Name{CommonName: "pacs01.clinic.example"}})
	a.server = tlsCertificate([]*x509.Certificate{leaf, a.ca}, key)
	return a
}

// issue writes NAME.key and NAME.crt, in which the CA follows.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	check(t, err)
	template.SerialNumber, template.NotBefore, template.NotAfter = big.NewInt(now.Unix()), now.Add(-time.Hour), now.AddDate(1, 0, 0)
	parent, signer := template, crypto.Signer(key)
	if a.ca != nil {
		parent, signer = a.ca, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	check(t, err)
	cert, err := x509.ParseCertificate(der)
	check(t, err)
	keyPEM, err := EncodeKey(key)
	check(t, err)
	writeFile(t, filepath.Join(a.dir, name+".key"), keyPEM)
	chain := []*x509.Certificate{cert}
	if a.ca != nil {
		chain = append(chain, a.ca)
	}
	writeFile(t, filepath.Join(a.dir, name+".crt"), EncodeCertificates(chain...))
	return cert, key
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, path string, data []byte) string {
	t.Helper()
	check(t, os.WriteFile(path, data, 0o600))
	return path
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	check(t, err)
	return data
}

// message is err with the folder as DIR.
func message(dir string, err error) string {
	if err == nil {
		return ""
	}
	quoted := strings.Trim(fmt.Sprintf("%q", dir+string(filepath.Separator)), `"`)
	return strings.ReplaceAll(strings.ReplaceAll(err.Error(), quoted, "DIR/"), strings.Trim(fmt.Sprintf("%q", dir), `"`), "DIR")
}

func hugeKey() *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), 999_999)
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

// openssl runs the tool, which is the judge of what we read.
func openssl(t *testing.T, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl isn't installed")
	}
	out, err := exec.Command("openssl", args...).CombinedOutput()
	if err != nil {
		t.Errorf("openssl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}
