package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	pkcs12 "software.sslmate.com/src/go-pkcs12"
)

// PKCS12 says how to write a key and its certificate into a PKCS#12 file.
type PKCS12 struct {
	Password string

	// Legacy is for Windows before 2019 and old Java: triple DES and SHA-1, instead of
	// AES-256 and SHA-256.
	Legacy bool
}

func (p PKCS12) encoder() (*pkcs12.Encoder, error) {
	switch {
	case p.Password == "":
		return nil, errors.New("the password of a PKCS#12 file can't be empty: whoever has the file would have the key")
	case p.Legacy:
		return pkcs12.LegacyDES, nil
	}
	return pkcs12.Modern2023, nil // its successor is for Java 26 and OpenSSL 3.4
}

// encode gives the key a name, the alias of Java.
func (p PKCS12) encode(name string, key crypto.Signer, cert, ca *x509.Certificate) ([]byte, error) {
	encoder, err := p.encoder()
	if err != nil {
		return nil, err
	}
	data, err := encoder.Encode(key, cert, []*x509.Certificate{ca}, p.Password)
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS#12: %w", err) // never has the password in it
	}
	return nameKey(data, name, p.Password)
}

// TrustStore returns a PKCS#12 file without keys. Java finds the cas in it as trusted
// certificates, each under its common name.
func (p PKCS12) TrustStore(cas []*x509.Certificate) ([]byte, error) {
	encoder, err := p.encoder()
	if err != nil {
		return nil, err
	}
	var entries []pkcs12.TrustStoreEntry
	for _, ca := range cas {
		entries = append(entries, pkcs12.TrustStoreEntry{Cert: ca, FriendlyName: ca.Subject.CommonName})
	}
	data, err := encoder.EncodeTrustStoreEntries(entries, p.Password)
	if err != nil {
		return nil, fmt.Errorf("encoding PKCS#12: %w", err)
	}
	return data, nil
}

// GeneratePassword makes a password of 100 random bits that is easily read and
// typed: small letters and the digits 2 to 7, in groups.
func GeneratePassword() string {
	text := strings.ToLower(rand.Text())
	return strings.Join([]string{text[:5], text[5:10], text[10:15], text[15:20]}, "-")
}
