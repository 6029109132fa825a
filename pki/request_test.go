package pki

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki/certfile"
)

// greedy asks for everything that it must not get.
func greedy() *x509.CertificateRequest {
	return &x509.CertificateRequest{
		Subject: pkix.Name{
			Organization: []string{"Second", "Partner, Ltd"}, CommonName: "pacs.partner.example", SerialNumber: "7",
		},
		ExtraExtensions: []pkix.Extension{
			{Id: asn1.ObjectIdentifier{2, 5, 29, 19}, Critical: true, Value: []byte{0x30, 3, 1, 1, 0xff}},
			{Id: asn1.ObjectIdentifier{1, 2, 3, 4}, Value: []byte{5, 0}},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 1, 6}}, // certificate and CRL signing
			{Id: asn1.ObjectIdentifier{2, 5, 29, 37}, Value: []byte{0x30, 6, 6, 4, 0x55, 0x1d, 0x25, 0}},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 32}, Value: []byte{0x30, 0}},
			{Id: asn1.ObjectIdentifier{2, 5, 29, 17}, Value: slices.Concat([]byte{0x30, 26, 0x82, 20}, []byte("pacs.partner.example"), []byte{0x88, 2, 0x2a, 3})}, // and an OID
		},
	}
}

func makeCSR(t *testing.T, template *x509.CertificateRequest, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func newKey(t *testing.T, keyType string) crypto.Signer {
	t.Helper()
	key, err := GenerateKey(keyType)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestNewCSR(t *testing.T) {
	for _, keyType := range []string{"rsa-2048", "ecdsa-p256", "ecdsa-p384", "ed25519"} {
		out := t.TempDir()
		r := Request{Name: "pacs.example", Subject: dn.Subject{Organization: "Clinic", Country: "KR"}}
		files, err := NewCSR(r, keyType, out, "")
		if err != nil {
			t.Fatal(err)
		}
		csr, err := certfile.ReadCSR(files[1])
		if err != nil {
			t.Fatal(err)
		}
		d := certfile.DescribeCSR(csr)
		if d.Problem != "" || d.Subject != "C=KR, O=Clinic, CN=pacs.example" || !slices.Equal(d.Names, []string{"pacs.example"}) || d.NotCopied != nil {
			t.Errorf("%s: got %+v", keyType, d)
		}
		keys, err := certfile.ReadKeys(files[0], "")
		if key, _ := certfile.MatchKey([]*x509.Certificate{{PublicKey: csr.PublicKey}}, keys); err != nil || key < 0 {
			t.Errorf("%s: the key isn't that of the request: %v", keyType, err)
		}
		if info, err := os.Stat(files[0]); err != nil || info.Mode().Perm()&0o077 != 0 && os.PathSeparator == '/' {
			t.Errorf("key: %v, %v", info.Mode(), err)
		}
		key := readFile(t, files[0])
		remove(t, files[1])
		if _, err := NewCSR(r, keyType, out, ""); err == nil || !strings.Contains(err.Error(), "move it away") || !bytes.Equal(key, readFile(t, files[0])) {
			t.Errorf("%s: over a key that is there: %v", keyType, err)
		}
	}
}

// TestSignGreedy: what isn't copied is reported, and isn't in the certificate.
func TestSignGreedy(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	der := makeCSR(t, greedy(), testkit.RSAKey(2048))
	for name, data := range map[string][]byte{"der": der, "pem": asPEM("NEW CERTIFICATE REQUEST", der)} {
		t.Run(name, func(t *testing.T) {
			csr, err := certfile.ReadCSR(writeFile(t, filepath.Join(t.TempDir(), "a.csr"), data))
			if err != nil {
				t.Fatal(err)
			}
			want := []string{"names of other kinds", "extended usage: that is up to us", "extension policies (2.5.29.32)", `subject field O="Partner, Ltd"`, "subject field serialNumber=7", "CA: it asks to be a CA itself",
				"extension unknown (1.2.3.4)", "key usage: that is up to us"}
			got := certfile.DescribeCSR(csr).NotCopied
			slices.Sort(got)
			slices.Sort(want)
			if !slices.Equal(got, want) {
				t.Errorf("got not copied %q, want %q", got, want)
			}
			cert, file, err := a.SignCSR(csr, Request{Client: true, Validity: time.Hour}, t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			if filepath.Base(file) != "pacs.partner.example.crt" {
				t.Errorf("got file %q", file)
			}
			d := certfile.Describe(cert, now)
			if d.CA != "no" || d.Extensions != nil || d.Subject != `O=Second, CN=pacs.partner.example` ||
				!slices.Equal(d.ExtKeyUsage, []string{"TLS client"}) || !slices.Equal(d.KeyUsage, []string{"digital signature", "key encipherment"}) {
				t.Errorf("got %+v", d)
			}
			chain, err := certfile.LoadCertificates(file)
			if err != nil || len(chain) != 2 || !chain[0].Equal(cert) || !chain[1].Equal(store.CA) {
				t.Errorf("got a chain of %d, %v", len(chain), err)
			}
			index := readIndex(t, store.Dir)
			if last := index[len(index)-1]; last.Serial != SerialText(cert) || last.Name != "pacs.partner.example" {
				t.Errorf("got index entry %+v", last)
			}
		})
	}
}

// TestSignNames: where the file name and the names of a server come from.
func TestSignNames(t *testing.T) {
	a := openAuthority(t, ensure(t, nil).Dir, now)
	key := newKey(t, "ecdsa-p256")
	for _, test := range []struct {
		cn, dns, name string
		file, names   string // or the error
	}{
		{"a.example", "", "", "a.example.crt", "[a.example]"},
		{"a.example", "b.example", "", "a.example.crt", "[b.example]"},
		{"", "b.example", "", "b.example.crt", "[b.example]"},
		{"a.example", "", "partner", "partner.crt", "[a.example]"},
		{"", "", "", "give it one with --name", ""},
		{"../../etc/x", "b.example", "", "can't be that of a file", ""},
		{"", "*.b.example", "", "the first no dot or dash, and give it with --name", ""},
		{"-rf", "b.example", "", "can't be that of a file", ""},
		{"a.example", "", "a\nb", "can't be that of a file", ""},
		{"a.example", "", "caf\xe9", "can't be that of a file", ""},
		{"A person", "", "b", "without one no client accepts a server", ""},
		{"", "*.b.example", "b", "b.crt", "[*.b.example]"},
	} {
		template := &x509.CertificateRequest{Subject: pkix.Name{CommonName: test.cn}}
		if test.dns != "" {
			template.DNSNames = []string{test.dns}
		}
		csr, err := x509.ParseCertificateRequest(makeCSR(t, template, key))
		if err != nil {
			t.Fatal(err)
		}
		out := t.TempDir()
		cert, file, err := a.SignCSR(csr, Request{Name: test.name, Server: true, Validity: time.Hour}, out)
		switch {
		case err != nil:
			if !strings.Contains(err.Error(), test.file) || len(fileNames(t, out)) != 0 {
				t.Errorf("%+v: got %v", test, err)
			}
		case filepath.Base(file) != test.file || fmt.Sprint(certfile.SANs(cert)) != test.names:
			t.Errorf("%+v: got %q, %q", test, file, certfile.SANs(cert))
		}
	}
}

// TestBadCSR: each bad request is refused in one sentence, and the index stays as it was.
func TestBadCSR(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	dir, out := t.TempDir(), t.TempDir()
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	good := makeCSR(t, greedy(), newKey(t, "ecdsa-p256"))
	broken := bytes.Replace(good, []byte("Partner"), []byte("Pirates"), 1)
	const pkcs1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01" // 1.2.840.113549.1.1
	md5 := bytes.ReplaceAll(makeCSR(t, greedy(), testkit.RSAKey(2048)), []byte(pkcs1+"\x0b"), []byte(pkcs1+"\x04"))
	p12, err := PKCS12{Password: "tomato"}.encode("a", newKey(t, "ecdsa-p256"), store.CA, store.CA)
	if err != nil {
		t.Fatal(err)
	}
	before := len(readIndex(t, store.Dir))
	for name, test := range map[string]struct {
		data []byte
		want string
	}{
		"huge RSA":    {hugeCSR(t), "the request has a key too large for TLS, RSA with 1000000 bits: one with at most 8192 is needed"},
		"MD5":         {md5, "the request is signed in a way that is too weak, MD5-RSA: ask for one signed with SHA-256 or better"},
		"weak RSA":    {makeCSR(t, greedy(), testkit.RSAKey(1024)), "the request has a weak key, RSA with 1024 bits: one with at least 2048 is needed"},
		"weak curve":  {makeCSR(t, greedy(), p224), "the request has a weak key, ECDSA P-224: P-256 or better is needed"},
		"broken":      {broken, "the request has a broken signature"},
		"PKCS#12":     {p12, "holds something encrypted where a certificate request is needed: ask for the request"},
		"public key":  {asPEM("PUBLIC KEY", []byte{1}), "holds a public key where a certificate request is needed: ask for the request"},
		"certificate": {readFile(t, filepath.Join(store.Dir, "ca.crt")), "holds a certificate where a certificate request is needed: ask for the request"},
		"key":         {readFile(t, filepath.Join(store.Dir, "ca.key")), "holds a private key where a certificate request is needed: ask for the request"},
		"DER key":     {mustPKCS8(t, newKey(t, "ecdsa-p256")), "holds a private key where"},
		"cut off":     {good[:len(good)-9], "cut off"},
		"damaged":     {asPEM("CERTIFICATE REQUEST", good[:len(good)-9]), "is damaged"},
		"two":         {slices.Concat(asPEM("CERTIFICATE REQUEST", good), asPEM("CERTIFICATE REQUEST", good)), "holds 2 certificate requests"},
		"empty":       {nil, "it is empty"},
		"text":        {[]byte("hello"), `the line "-----BEGIN CERTIFICATE REQUEST-----" is needed`},
	} {
		csr, err := certfile.ReadCSR(writeFile(t, filepath.Join(dir, "a.csr"), test.data))
		if err == nil {
			_, _, err = a.SignCSR(csr, Request{Client: true, Validity: time.Hour}, out)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: got %v, want %s", name, err, test.want)
		}
	}
	if got := len(readIndex(t, store.Dir)); got != before || len(fileNames(t, out)) != 0 {
		t.Errorf("got %d lines of the index, want %d; and files %q", got, before, fileNames(t, out))
	}
}

// hugeCSR has a key with which verifying a signature takes minutes.
func hugeCSR(t *testing.T) []byte {
	t.Helper()
	signed, err := x509.ParseCertificateRequest(makeCSR(t, greedy(), testkit.RSAKey(2048)))
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(testkit.RSAPublic(1_000_000))
	if err != nil {
		t.Fatal(err)
	}
	var outer struct{ Info, Algorithm, Signature asn1.RawValue }
	if _, err := asn1.Unmarshal(signed.Raw, &outer); err != nil {
		t.Fatal(err)
	}
	outer.Info.FullBytes, err = asn1.Marshal(struct {
		Version                  int
		Subject, Key, Attributes asn1.RawValue
	}{0, asn1.RawValue{FullBytes: signed.RawSubject}, asn1.RawValue{FullBytes: spki}, asn1.RawValue{Class: 2, IsCompound: true}})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(outer)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func mustPKCS8(t *testing.T, key crypto.Signer) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

func csrChild(s Settings) error {
	_, err := NewCSR(Request{Name: "pacs.example"}, "ecdsa-p256", filepath.Dir(s.Dir), s.Dir)
	return err
}

func signChild(s Settings) error {
	key, err := GenerateKey("ecdsa-p256")
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, greedy(), key)
	if err != nil {
		return err
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return err
	}
	a, err := OpenAuthority(context.Background(), s.Dir, now)
	if err != nil {
		return err
	}
	defer a.Close()
	_, _, err = a.SignCSR(csr, Request{Client: true, Validity: time.Hour}, filepath.Dir(s.Dir))
	return err
}

// TestKillNewCSR: after a kill there is no request without its key, and every file is
// complete.
func TestKillNewCSR(t *testing.T) {
	killEach(t, "csr", prepareFirstRun, func(t *testing.T, dir string) {
		base := filepath.Join(filepath.Dir(dir), "pacs.example")
		_, keyErr := certfile.ReadKeys(base+".key", "")
		if _, err := os.Lstat(base + ".key"); err == nil && keyErr != nil {
			t.Error(keyErr)
		}
		if _, err := os.Lstat(base + ".csr"); err == nil {
			if _, err := certfile.ReadCSR(base + ".csr"); err != nil || keyErr != nil {
				t.Errorf("%v, %v", err, keyErr)
			}
		}
	})
}
