//go:build linux

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tlstunnel runs one command of the program.
func tlstunnel(t *testing.T, args ...string) (output string, err error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), executable(t), args...)
	cmd.Env = append(os.Environ(), asTlstunnel+"=1") // otherwise the command would run these tests again and again
	text, err := cmd.CombinedOutput()
	return string(text), err
}

// TestOpenSSLReadsOurRequest: openssl verifies the signature of our request, and signs it.
func TestOpenSSLReadsOurRequest(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	dir := t.TempDir()
	config := writeFile(t, dir, "config.toml", "pki.subject.organization = \"Clinic\"\n")
	for _, keyType := range []string{"rsa-2048", "ecdsa-p256"} {
		output, err := tlstunnel(t, "csr", "new", keyType, "--common-name", "pacs.clinic.example",
			"--dns", "pacs.clinic.example", "--ip", "192.0.2.7", "--key-type", keyType, "--out", dir, "--config", config)
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		text := run(t, "openssl", "req", "-in", filepath.Join(dir, keyType+".csr"), "-verify", "-noout", "-text")
		for _, want := range []string{"verify OK", "pacs.clinic.example", "DNS:pacs.clinic.example, IP Address:192.0.2.7"} {
			if !strings.Contains(text, want) {
				t.Errorf("%s: no %q in %s", keyType, want, text)
			}
		}
		run(t, "openssl", "pkey", "-in", filepath.Join(dir, keyType+".key"), "-noout", "-check")
	}
}

// TestOurCASignsOpenSSLRequest: a request asks for a CA and for an unknown extension. The
// certificate has neither, and openssl accepts the chain.
func TestOurCASignsOpenSSLRequest(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	dir := t.TempDir()
	config := writeFile(t, dir, "config.toml", "log.file = \"-\"\npki.dir = \"pki\"\n")
	if output, err := tlstunnel(t, "init", "--config", config); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	request := writeFile(t, dir, "req.cnf", `
[req]
distinguished_name = name
req_extensions = greedy
[name]
[greedy]
basicConstraints = critical,CA:TRUE
keyUsage = keyCertSign
subjectAltName = DNS:pacs.partner.example
1.2.3.4.5 = critical,ASN1:UTF8String:secret wish
`)
	for _, form := range []string{"PEM", "DER"} {
		csr := filepath.Join(dir, form+".csr")
		run(t, "openssl", "req", "-new", "-config", request, "-newkey", "rsa:2048", "-nodes", "-outform", form,
			"-keyout", filepath.Join(dir, form+".key"), "-out", csr, "-subj", "/O=Partner/CN=pacs.partner.example")
		output, err := tlstunnel(t, "csr", "sign", csr, "--server", "--yes", "--name", form, "--out", dir, "--config", config)
		if err != nil || !strings.Contains(output, "it asks to be a CA itself") || !strings.Contains(output, "1.2.3.4.5") {
			t.Fatalf("%v: %s", err, output)
		}
		cert := filepath.Join(dir, form+".crt")
		run(t, "openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "pacs.partner.example",
			"-CAfile", filepath.Join(dir, "pki", "ca.crt"), cert)
		text := run(t, "openssl", "x509", "-in", cert, "-noout", "-text")
		if strings.Contains(text, "CA:TRUE") || strings.Contains(text, "1.2.3.4.5") || strings.Contains(text, "Certificate Sign") || !strings.Contains(text, "CA:FALSE") {
			t.Errorf("%s: got %s", form, text)
		}
	}
}
