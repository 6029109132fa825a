package certfile

import (
	"crypto/rand"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/youmark/pkcs8"
	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// makePKCS7 is what a .p7b has: SignedData without content and signers.
func makePKCS7(t *testing.T, certs ...*x509.Certificate) []byte {
	t.Helper()
	var raw []byte
	for _, cert := range certs {
		raw = append(raw, cert.Raw...)
	}
	set := asn1.RawValue{FullBytes: []byte{0x31, 0}}
	data, err := asn1.Marshal([]asn1.ObjectIdentifier{{1, 2, 840, 113549, 1, 7, 1}})
	if err != nil {
		t.Fatal(err)
	}
	signed, err := asn1.Marshal(signedData{
		Version: 1, Digests: set, Content: asn1.RawValue{FullBytes: data},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: raw},
		Signers:      set,
	})
	if err != nil {
		t.Fatal(err)
	}
	der, err := asn1.Marshal(contentInfo{oidSignedData, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: signed}})
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// makeInputs writes the server pair in each form that is read.
func (f files) makeInputs(t *testing.T) {
	t.Helper()
	server, key := f.server.Leaf, f.server.PrivateKey
	p7 := makePKCS7(t, f.ca, server)
	pkcs8Key, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encrypted, err := pkcs8.MarshalPrivateKey(key, []byte("tomato"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, encoder := range map[string]*pkcs12.Encoder{"modern.p12": pkcs12.Modern, "legacy.p12": pkcs12.LegacyDES} {
		data, err := encoder.Encode(key, server, []*x509.Certificate{f.ca}, "tomato")
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, f.path(name), data)
		writeFile(t, f.path("cut-"+name), data[:len(data)/2])
	}
	trust, err := pkcs12.Modern.EncodeTrustStore([]*x509.Certificate{f.ca}, "tomato")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"cert.der": server.Raw, "chain.p7b": p7, "cut.p7b": p7[:len(p7)/2], "none.p7b": makePKCS7(t), "trust.p12": trust,
		"key.der": pkcs8Key, "encrypted.der": encrypted, "cut.der": encrypted[:len(encrypted)/2],
		"password": []byte("tomato\r\n"), "wrong": []byte("potato\n"), "lines": []byte("tomato\npotato\n"),
		"utf16": []byte("\xff\xfet\x00o\x00\r\x00\n\x00"), "utf16 without mark": []byte("t\x00o\x00"), "latin1": []byte("Gr\xf6\xdfe\n"),
	} {
		writeFile(t, f.path(name), data)
	}
	f.pem(t, "chain.pem", "PKCS7", p7)
	f.pem(t, "encrypted.key", "ENCRYPTED PRIVATE KEY", encrypted)
	f.pem(t, "damaged.key", "ENCRYPTED PRIVATE KEY", encrypted[:len(encrypted)-40])
}

func TestInputs(t *testing.T) {
	f := newFiles(t)
	f.makeInputs(t)
	for _, test := range []struct {
		cert, key, password string
		chain               int
	}{
		{"cert.der", "key.der", "", 1},
		{"cert.der", "encrypted.der", "password", 1},
		{"chain.p7b", "server.key", "", 2},
		{"chain.pem", "encrypted.key", "password", 2},
		{"modern.p12", "", "password", 2},
		{"legacy.p12", "", "password", 2},
		{"server.crt", "modern.p12", "password", 2},
		{"server.crt", "server.key", "password", 2}, // which isn't needed
	} {
		password := test.password
		if password != "" {
			password = f.path(password)
		}
		key := test.key
		if key != "" {
			key = f.path(key)
		}
		pair, err := LoadKeyPair(f.path(test.cert), key, password)
		if err != nil {
			t.Errorf("%v: %v", test, err)
		} else if !pair.Leaf.Equal(f.server.Leaf) || len(pair.Certificate) != test.chain {
			t.Errorf("%v: got another chain, of %d", test, len(pair.Certificate))
		}
	}
	for file, want := range map[string]int{"cert.der": 1, "chain.p7b": 2, "chain.pem": 2} {
		if certs, err := LoadCertificates(f.path(file)); err != nil || len(certs) != want {
			t.Errorf("%s: got %d certificates, %v", file, len(certs), err)
		}
	}
	_, err := LoadCertificates(f.path("modern.p12"))
	want := `certificate "DIR/modern.p12" is PKCS#12 with a password, and a file of CA certificates can't have one: get it as PEM or DER, or make it by ` + "`openssl pkcs12 -in FILE -nokeys -out ca.pem`"
	if got := message(f.dir, err); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestInputErrors(t *testing.T) {
	f := newFiles(t)
	f.makeInputs(t)
	const wrong = ` can't be decrypted with the password in "DIR/wrong": it is the wrong one, or the file is damaged`
	for _, test := range []struct{ cert, key, password, want string }{
		{"modern.p12", "modern.p12", "", `certificate "DIR/modern.p12" ` + errEncrypted.Error()},
		{"modern.p12", "modern.p12", "wrong", `certificate "DIR/modern.p12"` + wrong},
		{"legacy.p12", "legacy.p12", "wrong", `certificate "DIR/legacy.p12"` + wrong},
		{"cut-modern.p12", "server.key", "password", `certificate "DIR/cut-modern.p12" is PKCS#12, but cut off or damaged: copy it again, in binary mode, or export it anew`},
		{"server.crt", "encrypted.key", "", `key "DIR/encrypted.key" ` + errEncrypted.Error()},
		{"server.crt", "encrypted.key", "wrong", `key "DIR/encrypted.key"` + wrong},
		{"server.crt", "damaged.key", "wrong", `key "DIR/damaged.key"` + wrong},
		{"server.crt", "cut.der", "password", `key "DIR/cut.der" is binary (DER), but cut off, damaged or of an unknown kind: copy it again, in binary mode`},
		{"server.crt", "encrypted.key", "none", `key "DIR/encrypted.key" is encrypted: reading password file: file does not exist: nothing below "DIR" has that name; it must be the name of a file, and the secret is in that file`},
		{"server.crt", "encrypted.key", "lines", `key "DIR/encrypted.key" is encrypted: password file "DIR/lines" must have one line of text, the password and nothing else`},
		{"server.crt", "encrypted.key", "utf16", `key "DIR/encrypted.key" is encrypted: password file "DIR/utf16" is saved as UTF-16, as > does in Windows PowerShell: save it as UTF-8 (in Notepad: Save as, Encoding)`},
		{"server.crt", "encrypted.key", "utf16 without mark", `key "DIR/encrypted.key" is encrypted: password file "DIR/utf16 without mark" is saved as UTF-16, as > does in Windows PowerShell: save it as UTF-8 (in Notepad: Save as, Encoding)`},
		{"modern.p12", "modern.p12", "latin1", `certificate "DIR/modern.p12" can't be decrypted with the password in "DIR/latin1": that file isn't UTF-8, which a password with other letters than those of ASCII must be: save it as UTF-8`},
		{"server.crt", "encrypted.key", "latin1", `key "DIR/encrypted.key" can't be decrypted with the password in "DIR/latin1": that file isn't UTF-8, which a password with other letters than those of ASCII must be: save it as UTF-8`},
		{"cut.p7b", "server.key", "", `certificate "DIR/cut.p7b" is binary (DER), but cut off, damaged or of an unknown kind: copy it again, in binary mode`},
		{"none.p7b", "server.key", "", `certificate "DIR/none.p7b" is PKCS#7 without any certificate: export it anew, with the certificates`},
		{"server.crt", "chain.p7b", "", `key "DIR/chain.p7b" holds a certificate where a private key is needed: are certificate and key swapped?`},
		{"key.der", "server.key", "", `certificate "DIR/key.der" holds a private key where a certificate is needed: are certificate and key swapped?`},
	} {
		password := test.password
		if password != "" {
			password = f.path(password)
		}
		_, err := LoadKeyPair(f.path(test.cert), f.path(test.key), password)
		got := message(f.dir, err)
		if got != test.want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", test.cert, test.key, got, test.want)
		}
		if strings.Contains(got, "tomato") || strings.Contains(got, "potato") {
			t.Errorf("the message tells a password: %s", got)
		}
	}
}

// Damaged bytes are an error, never a panic.
func TestDamagedInputs(t *testing.T) {
	f := newFiles(t)
	f.makeInputs(t)
	for _, name := range []string{"chain.p7b", "cert.der", "key.der"} {
		data := readFile(t, f.path(name))
		for i := range data {
			damaged := append([]byte{}, data...)
			damaged[i] ^= 1 << (i % 8)
			if blocks, err := openDER(damaged); err == nil {
				_, _ = unwrap(blocks)
			}
		}
	}
	block, _ := pem.Decode(readFile(t, f.path("encrypted.key")))
	noise := make([]byte, 1)
	for i := range 40 {
		damaged := append([]byte{}, block.Bytes...)
		_, _ = rand.Read(noise)
		damaged[len(damaged)-1-i*2] ^= noise[0] | 1
		if _, err := decryptKey(damaged, f.path("wrong")); err == nil {
			t.Error("a wrong password opened a damaged key")
		}
	}
}
