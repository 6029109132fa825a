package pki

import (
	"cmp"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	maxPairFile   = 1 << 20  // bytes; a key or a chain takes a few thousand
	maxBundleFile = 16 << 20 // bytes; the bundle of a whole system takes about 200,000
)

// LoadKeyPair reads a certificate and its key that the user brings along,
// both in PEM. The leaf comes first in certFile, its chain after it. The key
// is RSA, ECDSA or Ed25519 as PKCS#8, PKCS#1 or SEC 1, and not encrypted.
// Leaf is set in the result. A pair that no peer would accept is an error:
// expired at the time now, not valid yet, or too weak.
func LoadKeyPair(certFile, keyFile string, now time.Time) (tls.Certificate, error) {
	pair, err := readPair(certFile, keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	if err := checkValidity(certFile, pair.Leaf, now, "install a renewed one"); err != nil {
		return tls.Certificate{}, err
	}
	return pair, nil
}

// LoadCertificates reads all certificates of PEM files, in their order. It is
// for bundles of CA certificates; keys and other things in them are passed
// over. A file without any certificate is an error. Whether they are valid
// isn't looked at.
func LoadCertificates(files ...string) ([]*x509.Certificate, error) {
	var certs []*x509.Certificate
	for _, file := range files {
		fromFile, err := readCertificates(file, maxBundleFile, needCA)
		if err != nil {
			return nil, err
		}
		certs = append(certs, fromFile...)
	}
	return certs, nil
}

// readPair reads a pair and checks all of it that doesn't depend on the time.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	chain, err := readCertificates(certFile, maxPairFile, areSwapped)
	if err != nil {
		return tls.Certificate{}, err
	}
	key, err := readKey(keyFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	for i, cert := range chain {
		switch belongs := samePublicKey(cert, key); {
		case belongs && i > 0 && cert.BasicConstraintsValid && cert.IsCA:
			return tls.Certificate{}, fmt.Errorf("key %q is that of a CA, certificate number %d in %q: the key of certificate number 1, that of %s, is needed",
				keyFile, i+1, certFile, cmp.Or(nameText(chain[0].Subject), strings.Join(sanText(chain[0]), ", ")))
		case belongs && i > 0:
			return tls.Certificate{}, fmt.Errorf("certificate number %d in %q is the one of key %q: it must come first, its chain after it", i+1, certFile, keyFile)
		case belongs:
			return tlsCertificate(chain, key), checkStrength(certFile, cert)
		}
	}
	return tls.Certificate{}, fmt.Errorf("key %q doesn't belong to certificate %q: they have different public keys", keyFile, certFile)
}

func tlsCertificate(chain []*x509.Certificate, key crypto.Signer) tls.Certificate {
	pair := tls.Certificate{PrivateKey: key, Leaf: chain[0]}
	for _, cert := range chain {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair
}

func samePublicKey(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// readCertificates reads all certificates of a file. The hint is for who put a
// key there.
func readCertificates(file string, limit int64, hint string) ([]*x509.Certificate, error) {
	blocks, err := readPEM("certificate", file, "CERTIFICATE", limit)
	if err != nil {
		return nil, err
	}
	var certs []*x509.Certificate
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate number %d in %q is damaged or of an unknown kind: %w", len(certs)+1, file, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, wrongBlock("certificate", file, blocks, hint)
	}
	return certs, nil
}

func readKey(file string) (crypto.Signer, error) {
	blocks, err := readPEM("key", file, "PRIVATE KEY", maxPairFile)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		switch {
		case block.Type == "ENCRYPTED PRIVATE KEY" || block.Headers["DEK-Info"] != "":
			return nil, fmt.Errorf("key %q is encrypted, which isn't supported: store it decrypted, readable only by the user that runs tlstunnel", file)
		case block.Type == "PRIVATE KEY" || block.Type == "RSA PRIVATE KEY" || block.Type == "EC PRIVATE KEY":
			key, err := parseKey(block)
			if err != nil {
				return nil, fmt.Errorf("key %q %w", file, err)
			}
			return key, nil
		}
	}
	return nil, wrongBlock("key", file, blocks, areSwapped)
}

// parseKey drops the errors of crypto/x509: nothing of a key may get into a
// message.
func parseKey(block *pem.Block) (crypto.Signer, error) {
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil, errors.New("is damaged or of an unknown kind: RSA, ECDSA and Ed25519 in PKCS#8, PKCS#1 or SEC 1 are supported")
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		return key, nil
	case *ecdsa.PrivateKey:
		return key, nil
	case ed25519.PrivateKey:
		return key, nil
	}
	return nil, errors.New("can't sign: an RSA, ECDSA or Ed25519 key is needed")
}
