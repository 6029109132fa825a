//go:build linux

package interop

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// ownCA is a folder with a PKI of tlstunnel's own, and with what its commands make.
type ownCA string

func newOwnCA(t *testing.T) ownCA {
	t.Helper()
	ca := ownCA(t.TempDir())
	writeFile(t, string(ca), "config.toml", "log.file = \"-\"\npki.dir = \"pki\"\n")
	writeFile(t, string(ca), "password", "correct horse\n")
	ca.do(t, "init")
	ca.do(t, "ca", "export")
	return ca
}

// do runs a command of tlstunnel in the folder.
func (ca ownCA) do(t *testing.T, args ...string) {
	t.Helper()
	cmd := exec.Command(executable(t), append(args, "--config", "config.toml")...)
	cmd.Dir, cmd.Env = string(ca), append(os.Environ(), asTlstunnel+"=1")
	if output, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, output)
	}
}

func (ca ownCA) file(name string) string { return filepath.Join(string(ca), name) }

// wantOutput checks that the output of a program matches each pattern.
func wantOutput(t *testing.T, output string, patterns ...string) {
	t.Helper()
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(output) {
			t.Errorf("no match for %q in:\n%s", p, output)
		}
	}
}

// TestIssuedChain: openssl verifies each certificate for its purpose, and for no other.
func TestIssuedChain(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newOwnCA(t)
	ca.do(t, "cert", "issue", "pacs.example", "--server", "--ip", "192.0.2.7", "--key-type", "rsa-2048")
	ca.do(t, "cert", "issue", "modality-7", "--client", "--uri", "urn:modality:7", "--email", "it@clinic.example", "--key-type", "ed25519")
	ca.do(t, "cert", "issue", "both.example", "--server", "--client", "--days", "30")
	const longName = "imaging-archive-front-service.imaging-archive-front-system.cluster.example" // too long for a common name
	ca.do(t, "cert", "issue", longName, "--server")
	verify := func(purpose, name string, more ...string) (string, error) {
		return try(t, "openssl", append(append([]string{"verify", "-x509_strict", "-CAfile", ca.file("ca.crt"), "-purpose", purpose}, more...), ca.file(name+".crt"))...)
	}
	for _, test := range []struct{ name, purpose, other, option, value string }{
		{"pacs.example", "sslserver", "sslclient", "-verify_hostname", "pacs.example"},
		{"pacs.example", "sslserver", "sslclient", "-verify_ip", "192.0.2.7"},
		{"modality-7", "sslclient", "sslserver", "-verify_email", "it@clinic.example"},
		{"both.example", "sslserver", "", "-verify_hostname", "both.example"},
		{longName, "sslserver", "sslclient", "-verify_hostname", longName},
		{"both.example", "sslclient", "", "-verify_hostname", "both.example"},
	} {
		if output, err := verify(test.purpose, test.name, test.option, test.value); err != nil {
			t.Errorf("%+v: %s", test, output)
		}
		if test.other == "" {
			continue
		}
		if output, err := verify(test.other, test.name); err == nil || !strings.Contains(output, "purpose") {
			t.Errorf("%+v: for the other purpose: %v, %s", test, err, output)
		}
	}
	der := run(t, "openssl", "x509", "-inform", "DER", "-in", ca.file("ca.der"), "-noout", "-fingerprint", "-sha256")
	if !strings.Contains(der, fingerprint(t, ca.file("ca.crt"))) {
		t.Errorf("ca.der is another certificate than ca.crt: %s", der)
	}
}

// TestShownNumbers: `cert show` shows the same numbers to compare as openssl, for keys of
// each kind.
func TestShownNumbers(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newOwnCA(t)
	files := []string{"ca.crt", "ca.der"}
	for _, keyType := range []string{"rsa-2048", "ecdsa-p384", "ed25519"} {
		ca.do(t, "cert", "issue", keyType, "--client", "--p12", "--password-file", "password", "--key-type", keyType)
		files = append(files, keyType+".crt", keyType+".p12")
	}
	for _, name := range files {
		output, err := tlstunnel(t, "cert", "show", "--json", ca.file(name), "--password-file", ca.file("password"))
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, output)
		}
		var shown struct {
			Certificates []struct {
				Fingerprint, Pin, Serial string
			}
		}
		if err := json.Unmarshal([]byte(output), &shown); err != nil || len(shown.Certificates) == 0 {
			t.Fatalf("%s: %v: %s", name, err, output)
		}
		cert := ca.file(strings.NewReplacer(".p12", ".crt", ".der", ".crt").Replace(name))
		got := shown.Certificates[0]
		if want := pin(t, cert); got.Pin != want {
			t.Errorf("%s: got pin %q, want %q", name, got.Pin, want)
		}
		if want := fingerprint(t, cert); got.Fingerprint != want {
			t.Errorf("%s: got fingerprint %q, want %q", name, got.Fingerprint, want)
		}
		_, serial, _ := strings.Cut(strings.TrimSpace(run(t, "openssl", "x509", "-in", cert, "-noout", "-serial")), "=")
		if strings.ReplaceAll(got.Serial, ":", "") != serial {
			t.Errorf("%s: got serial number %q, want %q", name, got.Serial, serial)
		}
	}
}

// TestIssuedPKCS12: openssl opens both encodings, and finds the pair in them.
func TestIssuedPKCS12(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newOwnCA(t)
	for _, test := range []struct {
		name    string
		issue   []string
		openssl []string
		info    []string
	}{
		{"modern", nil, nil, []string{"MAC: sha256", "PBES2, PBKDF2, AES-256-CBC", "Shrouded Keybag: PBES2"}},
		{"old", []string{"--legacy"}, []string{"-legacy"}, []string{"MAC: sha1", "pbeWithSHA1And3-KeyTripleDES-CBC"}},
	} {
		ca.do(t, append([]string{"cert", "issue", test.name, "--client", "--p12", "--password-file", "password"}, test.issue...)...)
		file := ca.file(test.name + ".p12")
		open := append([]string{"pkcs12", "-in", file, "-nodes"}, test.openssl...)
		output := run(t, "openssl", append(open, "-info", "-passin", "file:"+ca.file("password"))...)
		wantOutput(t, output, append(test.info, "CN *= *"+test.name, "BEGIN PRIVATE KEY")...)
		if n := strings.Count(output, "BEGIN CERTIFICATE"); n != 2 {
			t.Errorf("%s: %d certificates, want its own and the CA's", test.name, n)
		}
		opened := writeFile(t, t.TempDir(), "opened.pem", output)
		key := run(t, "openssl", "pkey", "-in", opened, "-pubout")
		if cert := run(t, "openssl", "x509", "-in", ca.file(test.name+".crt"), "-noout", "-pubkey"); cert != key {
			t.Errorf("%s: the key isn't that of the certificate", test.name)
		}
		if output, err := try(t, "openssl", append(open, "-passin", "pass:wrong")...); err == nil {
			t.Errorf("%s: opened with a wrong password: %s", test.name, output)
		}
		for _, secret := range []string{file, ca.file(test.name + ".key")} {
			if info, err := os.Stat(secret); err != nil || info.Mode() != 0o600 {
				t.Errorf("%s: %v, %v", secret, info.Mode(), err)
			}
		}
	}
}

// TestIssuedRevoked: openssl verifies with our list. Each revocation gives the list a higher
// number.
func TestIssuedRevoked(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newOwnCA(t)
	for _, name := range []string{"one", "two", "three"} {
		ca.do(t, "cert", "issue", name, "--client")
	}
	crl, number := ca.file("pki/ca.crl"), ""
	for i, name := range []string{"one", "two"} {
		ca.do(t, "cert", "revoke", name, "--reason", "keyCompromise")
		text := run(t, "openssl", "crl", "-in", crl, "-CAfile", ca.file("ca.crt"), "-noout", "-text")
		wantOutput(t, text, "verify OK", `Next Update: \w+`, "Authority Key Identifier", "Key Compromise")
		if n := strings.Count(text, "Serial Number:"); n != i+1 {
			t.Errorf("%d entries, want %d", n, i+1)
		}
		next := run(t, "openssl", "crl", "-in", crl, "-noout", "-crlnumber")
		if next == number || len(next) < len(number) || len(next) == len(number) && next < number {
			t.Errorf("number %s after %s", next, number)
		}
		number = next
	}
	for name, revoked := range map[string]bool{"one": true, "two": true, "three": false} {
		output, err := try(t, "openssl", "verify", "-x509_strict", "-crl_check", "-CAfile", ca.file("ca.crt"), "-CRLfile", crl, "-purpose", "sslclient", ca.file(name+".crt"))
		if (err != nil) != revoked || revoked && !strings.Contains(output, "certificate revoked") {
			t.Errorf("%s: %v, %s", name, err, output)
		}
	}
}

// TestIssuedPython is a server and a client in Python with an issued certificate
// and the exported CA.
func TestIssuedPython(t *testing.T) {
	t.Parallel()
	ca := newOwnCA(t)
	ca.do(t, "cert", "issue", "localhost", "--server")
	server, port := startPythonServer(t, ca.file("localhost.crt"), ca.file("localhost.key"))
	runPythonClient(t, "127.0.0.1:"+port, ca.file("ca.crt"))
	server.waitUntil(t, "end of stream", endsOfStream(1))
}
