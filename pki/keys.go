package pki

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"fmt"
	"maps"
	"slices"
	"strings"
)

var keyTypes = map[string]func() (crypto.Signer, error){
	"ecdsa-p256": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) },
	"ecdsa-p384": func() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P384(), rand.Reader) },
	"rsa-2048":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 2048) },
	"rsa-3072":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 3072) },
	"rsa-4096":   func() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, 4096) },
	"ed25519": func() (crypto.Signer, error) {
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	},
}

// KeyTypes lists the values of [Settings.KeyType], in alphabetical order.
func KeyTypes() []string {
	return slices.Sorted(maps.Keys(keyTypes))
}

// KeyType returns the type of the key of cert, one of [KeyTypes], or "" if it is none of them.
func KeyType(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("rsa-%d", key.N.BitLen())
	case *ecdsa.PublicKey:
		return fmt.Sprintf("ecdsa-p%d", key.Curve.Params().BitSize)
	case ed25519.PublicKey:
		return "ed25519"
	}
	return ""
}

func checkKeyType(keyType string) error {
	if _, ok := keyTypes[keyType]; !ok {
		return fmt.Errorf("unknown key type %q: use one of %s", keyType, strings.Join(KeyTypes(), ", "))
	}
	return nil
}

// GenerateKey makes a key of a type in [KeyTypes].
func GenerateKey(keyType string) (crypto.Signer, error) {
	key, err := keyTypes[keyType]()
	if err != nil {
		return nil, fmt.Errorf("generating an %s key: %w", keyType, err)
	}
	return key, nil
}
