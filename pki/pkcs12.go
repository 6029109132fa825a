package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// PKCS12 is how a key and its certificate go into a PKCS#12 file.
type PKCS12 struct {
	Password string

	// Legacy is for Windows before 2019 and old Java: triple DES and SHA-1, instead of
	// AES-256 and SHA-256.
	Legacy bool
}

func (p PKCS12) encode(key crypto.Signer, cert, ca *x509.Certificate) ([]byte, error) {
	if p.Password == "" {
		return nil, errors.New("the password of a PKCS#12 file can't be empty: whoever has the file would have the key")
	}
	encoder := pkcs12.Modern
	if p.Legacy {
		encoder = pkcs12.LegacyDES
	}
	data, err := encoder.Encode(key, cert, []*x509.Certificate{ca}, p.Password)
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS#12: %w", err) // never has the password in it
	}
	return data, nil
}

// ReadPassword reads a password file: its only line, which isn't empty.
func ReadPassword(file string) (string, error) {
	password, err := readPassword(file)
	switch {
	case err != nil:
		return "", err
	case password == "":
		return "", fmt.Errorf("password file %q is empty: it must have one line of text, the password", file)
	case !utf8.ValidString(password):
		return "", fmt.Errorf("password file %q isn't UTF-8: save it as UTF-8, or other programs couldn't open what is made with it", file)
	}
	return password, nil
}

// GeneratePassword makes a password of 100 random bits that is easily read and
// typed: small letters and the digits 2 to 7, in groups.
func GeneratePassword() string {
	text := strings.ToLower(rand.Text())
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20]}, "-")
}
