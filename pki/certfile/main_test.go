package certfile

import (
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

var now = time.Date(2026, 11, 23, 7, 40, 0, 0, time.UTC)

// What the tests of all packages share, under the names that it has here.
var (
	asPEM     = testkit.PEM
	check     = testkit.Check
	readFile  = testkit.ReadFile
	writeFile = testkit.WriteFile[[]byte]
)

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

// issue writes NAME.key, and NAME.crt with the leaf and the CA.
func (a *authority) issue(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	template.NotBefore, template.NotAfter = now.Add(-time.Hour), now.AddDate(1, 0, 0)
	var by *testkit.Cert
	if a.ca != nil {
		by = &testkit.Cert{Certificate: a.ca, Key: a.key}
	}
	made := testkit.Sign(template, testkit.NewKey(), by)
	writeFile(t, filepath.Join(a.dir, name+".key"), made.KeyPEM())
	chain := []*x509.Certificate{made.Certificate}
	if a.ca != nil {
		chain = append(chain, a.ca)
	}
	writeFile(t, filepath.Join(a.dir, name+".crt"), EncodeCertificates(chain...))
	return made.Certificate, made.Key
}

// message is err with the folder as DIR.
func message(dir string, err error) string {
	if err == nil {
		return ""
	}
	quoted := strings.Trim(fmt.Sprintf("%q", dir+string(filepath.Separator)), `"`)
	return strings.ReplaceAll(strings.ReplaceAll(err.Error(), quoted, "DIR/"), strings.Trim(fmt.Sprintf("%q", dir), `"`), "DIR")
}
