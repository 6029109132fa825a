package pki

import (
	"bytes"
	"crypto/x509"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	pkcs12 "software.sslmate.com/src/go-pkcs12"

	"tlstunnel/pki/certfile"
)

// TestIssuePKCS12 reads the files that it made in the same way as a tunnel.
func TestIssuePKCS12(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	for _, legacy := range []bool{false, true} {
		for keyType := range keyTypes {
			out := t.TempDir()
			r := clientRequest("one")
			r.PKCS12 = &PKCS12{Password: "pässword", Legacy: legacy}
			cert, files, err := a.Issue(r, keyType, out)
			if err != nil || len(files) != 3 {
				t.Fatalf("%s: got %q, %v", keyType, files, err)
			}
			file := filepath.Join(out, "one.p12")
			pair, err := certfile.LoadKeyPair(file, "", writeFile(t, filepath.Join(out, "password"), []byte("pässword\n")))
			if err != nil {
				t.Fatalf("%s: %v", keyType, err)
			}
			if !bytes.Contains(readFile(t, file), bmp("one")) {
				t.Errorf("%s: the key has no name", keyType)
			}
			if len(pair.Certificate) != 2 || !bytes.Equal(pair.Certificate[0], cert.Raw) || !bytes.Equal(pair.Certificate[1], store.CA.Raw) {
				t.Errorf("%s: got %d certificates, want its own and the CA's", keyType, len(pair.Certificate))
			}
			for _, secret := range []string{"one.key", "one.p12"} {
				if info, err := os.Stat(filepath.Join(out, secret)); err != nil || info.Mode().Perm() != 0o600 && os.PathSeparator == '/' {
					t.Errorf("%s: %v, %v", secret, info.Mode(), err)
				}
			}
		}
	}
}

// TestIssuePKCS12Refused: all files are made or none, and nothing is in the index.
func TestIssuePKCS12Refused(t *testing.T) {
	store := ensure(t, nil)
	a := openAuthority(t, store.Dir, now)
	for password, want := range map[string]string{"": "can't be empty", "legacy 😀": "encoding PKCS#12"} {
		r := clientRequest("one")
		r.PKCS12 = &PKCS12{Password: password, Legacy: true}
		out := t.TempDir()
		_, _, err := a.Issue(r, "ecdsa-p256", out)
		if err == nil || !strings.Contains(err.Error(), want) || password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("got %v, want %s", err, want)
		}
		if names := fileNames(t, out); len(names) != 0 {
			t.Errorf("left behind: %q", names)
		}
	}
	if index := readIndex(t, store.Dir); len(index) != 1 {
		t.Errorf("got index %+v", index)
	}
}

// TestTrustStore reads what it made: the certificates with their names, and no key.
func TestTrustStore(t *testing.T) {
	first, second := ensure(t, nil), ensure(t, nil)
	cas := []*x509.Certificate{first.CA, second.CA}
	for _, legacy := range []bool{false, true} {
		data, err := (PKCS12{Password: "pässword", Legacy: legacy}).TrustStore(cas)
		if err != nil {
			t.Fatal(err)
		}
		got, err := pkcs12.DecodeTrustStore(data, "pässword")
		if err != nil || len(got) != 2 || !got[0].Equal(first.CA) || !got[1].Equal(second.CA) {
			t.Errorf("got %d certificates, %v", len(got), err)
		}
		out := t.TempDir()
		for _, want := range []int{3, 1} { // the other two are there the second time
			files, err := ExportCA(first.CA, data, out)
			if err != nil || len(files) != want {
				t.Errorf("got %q, %v", files, err)
			}
			if _, err := ExportCA(first.CA, data, out); err == nil || !strings.Contains(err.Error(), `ca.p12": file already exists: move it away`) {
				t.Errorf("got %v", err)
			}
			if err := os.Remove(filepath.Join(out, "ca.p12")); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := (PKCS12{}).TrustStore(cas); err == nil {
		t.Error("made without a password")
	}
}

func TestGeneratePassword(t *testing.T) {
	first, second := GeneratePassword(), GeneratePassword()
	if first == second || !regexp.MustCompile(`^[a-z2-7]{5}(-[a-z2-7]{5}){3}$`).MatchString(first) {
		t.Errorf("got %q and %q", first, second)
	}
}
