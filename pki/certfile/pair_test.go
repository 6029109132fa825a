package certfile

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// files is a folder with good and bad input.
type files struct{ *authority }

func newFiles(t *testing.T) files { return files{newAuthority(t, "CA")} }

func (f files) path(name string) string { return filepath.Join(f.dir, name) }

func (f files) pem(t *testing.T, name, blockType string, der []byte) {
	writeFile(t, f.path(name), pem.EncodeToMemory(&pem.Block{Type: blockType, Bytes: der}))
}

// selfSigned writes NAME.crt and NAME.key.
func (f files) selfSigned(t *testing.T, name string, key crypto.Signer, algorithm x509.SignatureAlgorithm) {
	t.Helper()
	made := testkit.Sign(&x509.Certificate{NotBefore: now, NotAfter: now.Add(time.Hour), SignatureAlgorithm: algorithm}, key, nil)
	writeFile(t, f.path(name+".crt"), made.PEM())
	writeFile(t, f.path(name+".key"), made.KeyPEM())
}

func TestLoadKeyPair(t *testing.T) {
	f := newFiles(t)
	ecKey := f.server.PrivateKey.(*ecdsa.PrivateKey)
	sec1, err := x509.MarshalECPrivateKey(ecKey)
	if err != nil {
		t.Fatal(err)
	}
	f.pem(t, "sec1.key", "EC PRIVATE KEY", sec1)
	parameters := pem.EncodeToMemory(&pem.Block{Type: "EC PARAMETERS", Bytes: []byte{6, 0}})
	writeFile(t, f.path("parameters.key"), append(parameters, readFile(t, f.path("sec1.key"))...))
	writeFile(t, f.path("combined.pem"), append(readFile(t, f.path("server.key")), readFile(t, f.path("server.crt"))...))
	writeFile(t, f.path("bom.crt"), append([]byte("\xef\xbb\xbf"), readFile(t, f.path("server.crt"))...))
	writeFile(t, f.path("crlf.crt"), bytes.ReplaceAll(readFile(t, f.path("server.crt")), []byte("\n"), []byte("\r\n")))

	writeFile(t, f.path("disorder.crt"), append(readFile(t, f.path("ca.crt")), readFile(t, f.path("server.crt"))...))
	writeFile(t, f.path("twokeys.crt"), slices.Concat(readFile(t, f.path("ca.key")), readFile(t, f.path("server.key")), readFile(t, f.path("server.crt"))))

	for _, pair := range [][2]string{
		{"server.crt", "server.key"},
		{"server.crt", "sec1.key"},
		{"server.crt", "parameters.key"},
		{"combined.pem", "combined.pem"},
		{"bom.crt", "server.key"},
		{"crlf.crt", "server.key"},
		{"disorder.crt", "server.key"},
		{"twokeys.crt", "twokeys.crt"},
	} {
		got, err := LoadKeyPair(f.path(pair[0]), f.path(pair[1]), "")
		if err != nil {
			t.Errorf("%q: %v", pair, err)
		} else if !got.Leaf.Equal(f.server.Leaf) || len(got.Certificate) != 2 {
			t.Errorf("%q: got another chain", pair)
		}
	}

	rsaKey := testkit.RSAKey(2048)
	f.selfSigned(t, "rsa", rsaKey, x509.SHA256WithRSA)
	f.pem(t, "pkcs1.key", "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey))
	if _, err := LoadKeyPair(f.path("rsa.crt"), f.path("pkcs1.key"), ""); err != nil {
		t.Errorf("PKCS#1: %v", err)
	}
}

func TestLoadKeyPairErrors(t *testing.T) {
	f := newFiles(t)
	f.makeBadFiles(t)

	const needPEM = `a text file (PEM) with the line "-----BEGIN `
	for _, test := range []struct{ cert, key, want string }{
		{"none.crt", "server.key", `reading certificate "DIR/none.crt": file does not exist: check the path`},
		{"server.crt", "none.key", `reading key "DIR/none.key": file does not exist: check the path`},
		{"folder", "server.key", `reading certificate "DIR/folder": it is a folder, a file is needed`},
		{"empty", "server.key", `reading certificate "DIR/empty": it is empty`},
		{"server.crt", "large", `reading key "DIR/large": it is larger than 1 MiB`},
		{"text", "server.key", `certificate "DIR/text" has no PEM in it: ` + needPEM + `CERTIFICATE-----" is needed`},
		{"bom", "server.key", `certificate "DIR/bom" has no PEM in it: ` + needPEM + `CERTIFICATE-----" is needed`},
		{"server.crt", "text", `key "DIR/text" has no PEM in it: ` + needPEM + `PRIVATE KEY-----" is needed`},
		{"der", "server.key", `certificate "DIR/der" is binary (DER), but cut off, damaged or of an unknown kind: copy it again, in binary mode`},
		{"p12", "server.key", `certificate "DIR/p12" is PKCS#12, but cut off or damaged: copy it again, in binary mode, or export it anew`},
		{"utf16", "server.key", `certificate "DIR/utf16" is UTF-16 text, which isn't supported: ` + needPEM + `CERTIFICATE-----" is needed`},
		{"server.key", "server.key", `certificate "DIR/server.key" holds a private key where a certificate is needed: are certificate and key swapped?`},
		{"server.crt", "server.crt", `key "DIR/server.crt" holds a certificate where a private key is needed: are certificate and key swapped?`},
		{"csr", "server.key", `certificate "DIR/csr" holds a certificate request where a certificate is needed: send it to a CA, and take what that sends back`},
		{"unknown", "server.key", `certificate "DIR/unknown" holds something else where a certificate is needed`},
		{"trusted", "server.key", `certificate "DIR/trusted" holds a certificate in OpenSSL's own format where a certificate is needed: ` + "`openssl x509` converts it"},
		{"crl", "server.key", `certificate "DIR/crl" holds a revocation list where a certificate is needed`},
		{"server.crt", "dsa", `key "DIR/dsa" holds a DSA key where a private key is needed`},
		{"server.crt", "public", `key "DIR/public" holds a public key where a private key is needed: take the file that was made together with it`},
		{"server.crt", "ec", `key "DIR/ec" holds nothing but EC parameters where a private key is needed`},
		{"server.crt", "dh", `key "DIR/dh" holds Diffie-Hellman parameters where a private key is needed`},
		{"server.crt", "openssh", `key "DIR/openssh" holds a key in OpenSSH's own format where a private key is needed: it is for SSH; take the key that the certificate was requested with`},
		{"cutoff", "server.key", `certificate "DIR/cutoff" is damaged: it has a PEM block that is cut off or malformed: copy it again`},
		{"nonsense", "server.key", `certificate number 1 in "DIR/nonsense" is damaged or of an unknown kind (malformed certificate)`},
		{"server.crt", "nonsense.key", `key "DIR/nonsense.key" is damaged or of an unknown kind: RSA, ECDSA and Ed25519 in PKCS#8, PKCS#1 or SEC 1 are supported`},
		{"server.crt", "x25519.key", `key "DIR/x25519.key" can't sign: an RSA, ECDSA or Ed25519 key is needed`},
		{"server.crt", "encrypted8.key", `key "DIR/encrypted8.key" is encrypted: write its password into a file that only the user that runs tlstunnel may read, and name that as key_password_file of the tunnel, or with --password-file`},
		{"server.crt", "encrypted1.key", "key \"DIR/encrypted1.key\" is encrypted in OpenSSL's old way (DEK-Info), which isn't supported, being weak: run `openssl pkcs8 -topk8` on it, and use what that writes"},
		{"server.crt", "ca.key", `key "DIR/ca.key" is that of a CA, certificate number 2 in "DIR/server.crt": the key of certificate number 1, that of CN=pacs01.clinic.example, is needed`},
		{"ca.crt", "server.key", `key "DIR/server.key" doesn't belong to certificate "DIR/ca.crt": they have different public keys: take the key that the request for this certificate was made with`},
		{"weak.crt", "weak.key", `certificate "DIR/weak.crt" has a weak key, RSA with 1024 bits: one with at least 2048 is needed`},
		{"p224.crt", "p224.key", `certificate "DIR/p224.crt" has a weak key, ECDSA P-224: P-256 or better is needed`},
		{"huge.crt", "server.key", `certificate number 1 in "DIR/huge.crt" has a key too large for TLS, RSA with 1000000 bits: one with at most 8192 is needed`},
		{"sha1.crt", "sha1.key", `certificate "DIR/sha1.crt" has a weak signature, SHA1-RSA: one signed with SHA-256 or better is needed`},
	} {
		_, err := LoadKeyPair(f.path(test.cert), f.path(test.key), "")
		if got := message(f.dir, err); got != test.want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", test.cert, test.key, got, test.want)
		}
	}
}

func (f files) makeBadFiles(t *testing.T) {
	if err := os.Mkdir(f.path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	server := readFile(t, f.path("server.crt"))
	encrypted := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{1}, Headers: map[string]string{
		"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00",
	}}
	for name, data := range map[string][]byte{
		"empty":          nil,
		"large":          make([]byte, 1<<20+1),
		"text":           []byte("cert = \"\"\n"),
		"bom":            []byte("\xef\xbb\xbf"),
		"der":            f.ca.Raw[:100],
		"p12":            {0x30, 0x82, 0x0a, 0x00, 0x02, 0x01, 0x03, 0x30},
		"utf16":          []byte("\xff\xfe-\x00-\x00"),
		"cutoff":         append([]byte("-----BEGIN CERTIFICATE-----\nMIIB\n"), server...),
		"encrypted1.key": pem.EncodeToMemory(encrypted),
	} {
		writeFile(t, f.path(name), data)
	}
	f.pem(t, "csr", "CERTIFICATE REQUEST", []byte{1})
	f.pem(t, "unknown", "SOMETHING", []byte{1})
	f.pem(t, "openssh", "OPENSSH PRIVATE KEY", []byte{1})
	f.pem(t, "trusted", "TRUSTED CERTIFICATE", []byte{1})
	f.pem(t, "crl", "X509 CRL", []byte{1})
	f.pem(t, "dsa", "DSA PRIVATE KEY", []byte{1})
	f.pem(t, "public", "PUBLIC KEY", []byte{1})
	f.pem(t, "ec", "EC PARAMETERS", []byte{1})
	f.pem(t, "dh", "DH PARAMETERS", []byte{1})
	f.pem(t, "nonsense", "CERTIFICATE", []byte("nonsense"))
	f.pem(t, "nonsense.key", "PRIVATE KEY", []byte("nonsense"))
	f.pem(t, "encrypted8.key", "ENCRYPTED PRIVATE KEY", []byte{1})

	x25519, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(x25519)
	if err != nil {
		t.Fatal(err)
	}
	f.pem(t, "x25519.key", "PRIVATE KEY", der)

	f.selfSigned(t, "weak", testkit.RSAKey(1024), x509.SHA256WithRSA)
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f.selfSigned(t, "p224", p224, x509.ECDSAWithSHA256)
	by := &testkit.Cert{Certificate: f.ca, Key: f.key}
	writeFile(t, f.path("huge.crt"), testkit.Sign(new(x509.Certificate), testkit.RSAPublic(1_000_000), by).PEM())
	f.makeSHA1(t)
}

func (f files) makeSHA1(t *testing.T) {
	f.selfSigned(t, "sha1", testkit.RSAKey(2048), x509.SHA256WithRSA)
	block, _ := pem.Decode(readFile(t, f.path("sha1.crt")))
	f.pem(t, "sha1.crt", "CERTIFICATE", testkit.WithSHA1(block.Bytes))
}

func TestPermissionDenied(t *testing.T) {
	if runtime.GOOS == "windows" || os.Geteuid() == 0 {
		t.Skip("needs an ordinary user under Unix")
	}
	f := newFiles(t)
	if err := os.Chmod(f.path("server.key"), 0); err != nil {
		t.Fatal(err)
	}
	_, err := LoadKeyPair(f.path("server.crt"), f.path("server.key"), "")
	want := `reading key "DIR/server.key": permission denied: let the user that runs tlstunnel read it`
	if got := message(f.dir, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestLoadCertificates(t *testing.T) {
	f := newFiles(t)
	comment := []byte("# Our own CA\n")
	writeFile(t, f.path("bundle"), append(append(comment, readFile(t, f.path("ca.crt"))...), readFile(t, f.path("server.crt"))...))

	certs, err := LoadCertificates(f.path("bundle"), f.path("ca.crt"))
	if err != nil {
		t.Fatal(err)
	}
	if len(certs) != 4 || !certs[0].Equal(f.ca) || !certs[1].Equal(f.server.Leaf) || !certs[3].Equal(f.ca) {
		t.Errorf("got %d certificates, want the 4 in their order", len(certs))
	}
	if certs, err := LoadCertificates(); certs != nil || err != nil {
		t.Errorf("no files: got %v, %v", certs, err)
	}
	_, err = LoadCertificates(f.path("ca.crt"), f.path("ca.key"))
	want := `certificate "DIR/ca.key" holds a private key where a certificate is needed: name the ca.crt of the CA instead`
	if got := message(f.dir, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	writeFile(t, f.path("large"), []byte(strings.Repeat("#", 16<<20+1)))
	_, err = LoadCertificates(f.path("large"))
	if got, want := message(f.dir, err), `reading certificate "DIR/large": it is larger than 16 MiB`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
