//go:build linux

package interop

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestInputsOfOpenSSL: every form in which openssl writes certificates and keys can be
// installed for a tunnel, and openssl reads the files that the installation wrote.
func TestInputsOfOpenSSL(t *testing.T) {
	need(t, "openssl")
	ca := newAuthority(t, "Company CA")
	pair := ca.issue(t, "pacs", "DNS:pacs.example")
	dir := t.TempDir()
	file := func(name string) string { return filepath.Join(dir, name) }
	password := writeFile(t, dir, "password", "tomato\n")
	wrong := writeFile(t, dir, "wrong", "potato\n")
	pass := "file:" + password
	openssl := func(args ...string) { t.Helper(); run(t, "openssl", args...) }
	openssl("x509", "-in", pair.cert, "-outform", "DER", "-out", file("cert.der"))
	openssl("pkcs8", "-topk8", "-nocrypt", "-in", pair.key, "-outform", "DER", "-out", file("key.der"))
	openssl("pkcs8", "-topk8", "-in", pair.key, "-passout", pass, "-out", file("pbkdf2.key"))
	openssl("pkcs8", "-topk8", "-scrypt", "-in", pair.key, "-passout", pass, "-outform", "DER", "-out", file("scrypt.der"))
	openssl("pkcs8", "-topk8", "-v1", "PBE-SHA1-3DES", "-in", pair.key, "-passout", pass, "-out", file("pbes1.key"))
	openssl("rsa", "-traditional", "-aes256", "-in", pair.key, "-passout", pass, "-out", file("dek.key"))
	openssl("crl2pkcs7", "-nocrl", "-certfile", ca.cert, "-certfile", pair.cert, "-out", file("chain.pem"))
	openssl("crl2pkcs7", "-nocrl", "-certfile", ca.cert, "-certfile", pair.cert, "-outform", "DER", "-out", file("chain.p7b"))
	openssl("pkcs12", "-export", "-in", pair.cert, "-inkey", pair.key, "-certfile", ca.cert, "-passout", pass, "-out", file("modern.p12"))
	p12 := func(name string, more ...string) {
		t.Helper()
		openssl(append([]string{"pkcs12", "-export", "-in", pair.cert, "-inkey", pair.key, "-passout", pass, "-out", file(name)}, more...)...)
	}
	p12("legacy.p12", "-legacy", "-certfile", ca.cert)
	p12("des.p12", "-certpbe", "DES-EDE3-CBC", "-keypbe", "DES-EDE3-CBC")
	p12("deskey.p12", "-keypbe", "DES-EDE3-CBC")
	p12("2des.p12", "-legacy", "-certpbe", "PBE-SHA1-2DES", "-keypbe", "PBE-SHA1-2DES")
	p12("rc4.p12", "-legacy", "-certpbe", "PBE-SHA1-RC4-128", "-keypbe", "PBE-SHA1-RC4-128")
	p12("sha384.p12", "-macalg", "sha384")
	p12("nomac.p12", "-nomac")
	p12("nokeys.p12", "-nokeys")
	openssl("pkcs12", "-export", "-nocerts", "-inkey", pair.key, "-passout", pass, "-out", file("nocerts.p12"))
	openssl("pkcs12", "-export", "-in", pair.cert, "-inkey", pair.key, "-keypbe", "AES-256-CBC", "-certpbe", "AES-256-CBC", "-macalg", "sha256", "-passout", pass, "-out", file("anew.p12"))
	const anew = ": export it anew with AES-256 and SHA-256, as `openssl pkcs12 -export -keypbe AES-256-CBC -certpbe AES-256-CBC -macalg sha256` does"
	const encryption = "is PKCS#12, and encrypted in a way that isn't supported" + anew

	tlstunnel := executable(t)
	for _, test := range []struct{ cert, key, password, refused string }{
		{file("cert.der"), file("key.der"), "", ""},
		{file("cert.der"), file("pbkdf2.key"), password, ""},
		{pair.cert, file("scrypt.der"), password, ""},
		{file("chain.pem"), pair.key, "", ""},
		{file("chain.p7b"), pair.key, "", ""},
		{file("modern.p12"), "", password, ""},
		{file("legacy.p12"), "", password, ""},
		{file("anew.p12"), "", password, ""},
		{file("des.p12"), "", password, encryption},
		{file("deskey.p12"), "", password, encryption},
		{file("2des.p12"), "", password, encryption},
		{file("rc4.p12"), "", password, encryption},
		{file("sha384.p12"), "", password, "is PKCS#12, and its protection against changes (MAC) is of a kind that isn't supported" + anew},
		{file("nomac.p12"), "", password, "is PKCS#12, and has no protection against changes (MAC): export it with a password"},
		{file("nokeys.p12"), "", password, "is PKCS#12, and has no private key: export it with the key"},
		{file("nocerts.p12"), "", password, "is PKCS#12, and has no certificate: export it with the certificate"},
		{file("modern.p12"), "", wrong, "can't be decrypted with the password in"},
		{file("legacy.p12"), "", "", "is encrypted: write its password into a file"},
		{pair.cert, file("pbkdf2.key"), wrong, "can't be decrypted with the password in"},
		{pair.cert, file("dek.key"), password, "is encrypted in OpenSSL's old way (DEK-Info)"},
		{pair.cert, file("pbes1.key"), password, "is encrypted in a way that isn't supported: PKCS#8 with PBES2 is needed"},
	} {
		t.Run(filepath.Base(test.cert)+","+filepath.Base(test.key)+","+filepath.Base(test.password), func(t *testing.T) {
			place := t.TempDir()
			config := writeFile(t, place, "config.toml", `log.file = "-"
pki.dir = "pki"
[[tunnel]]
name = "pacs"
mode = "server"
listen = "127.0.0.1:0"
target = "127.0.0.1:1"
cert = "pacs.crt"
key = "pacs.key"
`)
			args := []string{"cert", "install", "--config", config, test.cert}
			if test.key != "" {
				args = append(args, "--key", test.key)
			}
			if test.password != "" {
				args = append(args, "--password-file", test.password)
			}
			cmd := exec.CommandContext(t.Context(), tlstunnel, args...)
			cmd.Env = append(os.Environ(), asTlstunnel+"=1")
			output, err := cmd.CombinedOutput()
			if test.refused != "" {
				if err == nil || !strings.Contains(string(output), test.refused) || strings.Contains(string(output), "tomato") {
					t.Errorf("%v: %s", err, output)
				}
				return
			}
			if err != nil {
				t.Fatalf("%v: %s", err, output)
			}
			if got, want := fingerprint(t, filepath.Join(place, "pacs.crt")), fingerprint(t, pair.cert); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
			got, want := run(t, "openssl", "pkey", "-pubout", "-in", filepath.Join(place, "pacs.key")), run(t, "openssl", "pkey", "-pubout", "-in", pair.key)
			if got != want {
				t.Error("another key")
			}
		})
	}
}
