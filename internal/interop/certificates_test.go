//go:build linux

package interop

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// authority is a CA made by openssl commands.
type authority struct {
	dir  string
	cert string // a file
	key  string // a file
}

// keyPair is a certificate and its private key, both PEM files.
type keyPair struct{ cert, key string }

// newAuthority makes a CA whose subject is "CN=NAME".
func newAuthority(t *testing.T, name string) authority {
	t.Helper()
	dir := t.TempDir()
	a := authority{dir: dir, cert: filepath.Join(dir, "ca.crt"), key: filepath.Join(dir, "ca.key")}
	config := writeFile(t, dir, "req.cnf", `
[req]
distinguished_name = name
x509_extensions = ca
[name]
[ca]
basicConstraints = critical,CA:TRUE
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
`)
	run(t, "openssl", "req", "-x509", "-config", config, "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-sha256",
		"-keyout", a.key, "-out", a.cert, "-days", "30", "-subj", "/CN="+name)
	writeFile(t, dir, "index.txt", "")
	writeFile(t, dir, "ca.cnf", fmt.Sprintf(`
[ca]
default_ca = it
[it]
new_certs_dir = %q
database = %q
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
`, dir, filepath.Join(dir, "index.txt")))
	return a
}

// issue makes a certificate that is valid now, for the names in the form
// "DNS:localhost". Its key is an RSA one: our own PKI makes the others.
func (a authority) issue(t *testing.T, subject string, names ...string) keyPair {
	t.Helper()
	now := time.Now()
	return a.issueFor(t, now.Add(-time.Hour), now.Add(24*time.Hour), subject, names...)
}

func (a authority) issueFor(t *testing.T, notBefore, notAfter time.Time, subject string, names ...string) keyPair {
	t.Helper()
	dir := t.TempDir()
	pair := keyPair{cert: filepath.Join(dir, "leaf.crt"), key: filepath.Join(dir, "leaf.key")}
	request := filepath.Join(dir, "leaf.csr")
	run(t, "openssl", "req", "-new", "-config", filepath.Join(a.dir, "req.cnf"), "-newkey", "rsa:2048", "-nodes",
		"-keyout", pair.key, "-out", request, "-subj", "/CN="+subject)
	extensions := `
basicConstraints = critical,CA:FALSE
keyUsage = critical,digitalSignature,keyEncipherment
extendedKeyUsage = serverAuth,clientAuth
authorityKeyIdentifier = keyid
`
	if len(names) > 0 {
		extensions += "subjectAltName = " + strings.Join(names, ",") + "\n"
	}
	const form = "20060102150405Z"
	run(t, "openssl", "ca", "-batch", "-notext", "-config", filepath.Join(a.dir, "ca.cnf"),
		"-cert", a.cert, "-keyfile", a.key, "-in", request, "-out", pair.cert,
		"-extfile", writeFile(t, dir, "leaf.ext", extensions),
		"-startdate", notBefore.UTC().Format(form), "-enddate", notAfter.UTC().Format(form))
	return pair
}

// fingerprint is the SHA-256 of a certificate as openssl writes it.
func fingerprint(t *testing.T, cert string) string {
	t.Helper()
	_, hex, _ := strings.Cut(run(t, "openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", cert), "=")
	return strings.TrimSpace(hex)
}

// pin is the value for pins, made by the openssl command in docs/peers.md.
func pin(t *testing.T, cert string) string {
	t.Helper()
	out := run(t, "sh", "-c", `openssl x509 -in "$0" -noout -pubkey | openssl pkey -pubin -outform DER |
		openssl dgst -sha256 -binary | base64`, cert)
	return "sha256:" + strings.TrimSpace(out)
}
