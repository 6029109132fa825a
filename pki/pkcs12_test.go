package pki

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestIssuePKCS12 reads what it made the way a tunnel does.
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
			pair, err := LoadKeyPair(file, "", writeFile(t, filepath.Join(out, "password"), []byte("pässword\n")))
			if err != nil {
				t.Fatalf("%s: %v", keyType, err)
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

func TestGeneratePassword(t *testing.T) {
	first, second := GeneratePassword(), GeneratePassword()
	if first == second || !regexp.MustCompile(`^[a-z2-7]{5}(-[a-z2-7]{5}){3}$`).MatchString(first) {
		t.Errorf("got %q and %q", first, second)
	}
}
