package certfile

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

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/strength"
)

const (
	maxPairFile   = 1 << 20  // bytes; a key or a chain takes a few thousand
	maxBundleFile = 16 << 20 // bytes; the bundle of a whole system takes about 200,000
)

// LoadKeyPair reads the user's certificate and key, in PEM, DER, PKCS#7 or PKCS#12. An empty
// keyFile means that certFile has both. The certificates may be in any order: in the result
// the leaf comes first, then its chain. The key is RSA, ECDSA or Ed25519 as PKCS#8, PKCS#1 or
// SEC 1. If it is encrypted (PKCS#8, PKCS#12), its password is the line in passwordFile;
// otherwise passwordFile is "". Leaf is set in the result. A weak pair is an error.
// LoadKeyPair doesn't check the dates: the peer decides about them.
func LoadKeyPair(certFile, keyFile, passwordFile string) (tls.Certificate, error) {
	certs, err := readCertificates(certFile, passwordFile, maxPairFile, areSwapped)
	if err != nil {
		return tls.Certificate{}, err
	}
	hint := areSwapped
	if keyFile == "" {
		keyFile, hint = certFile, "as key isn't set, it must be in this file; or name its file with key"
	}
	keys, err := readKeysOr(hint, keyFile, passwordFile)
	if err != nil {
		return tls.Certificate{}, err
	}
	leaf, key := MatchKey(certs, keys)
	switch {
	case leaf < 0:
		return tls.Certificate{}, fmt.Errorf("key %q doesn't belong to certificate %q: they have different public keys: take the key that the request for this certificate was made with", keyFile, certFile)
	case leaf > 0 && chain.IsCA(certs[leaf]):
		return tls.Certificate{}, fmt.Errorf("key %q is that of a CA, certificate number %d in %q: the key of certificate number 1, that of %s, is needed",
			keyFile, leaf+1, certFile, cmp.Or(dn.Text(certs[0].Subject), strings.Join(SANs(certs[0]), ", ")))
	}
	ordered, others := chain.Order(certs, leaf)
	if err := CheckStrength(certFile, certs[leaf]); err != nil {
		return tls.Certificate{}, err
	}
	return tlsCertificate(append(ordered, others...), key), nil
}

// MatchKey returns the index of the first certificate that one of the keys belongs to, or -1.
// A file has two keys while a new pair is installed.
func MatchKey(certs []*x509.Certificate, keys []crypto.Signer) (int, crypto.Signer) {
	for i, cert := range certs {
		for _, key := range keys {
			if samePublicKey(cert, key) {
				return i, key
			}
		}
	}
	return -1, nil
}

func tlsCertificate(certs []*x509.Certificate, key crypto.Signer) tls.Certificate {
	pair := tls.Certificate{PrivateKey: key, Leaf: certs[0]}
	for _, cert := range certs {
		pair.Certificate = append(pair.Certificate, cert.Raw)
	}
	return pair
}

func samePublicKey(cert *x509.Certificate, key crypto.Signer) bool {
	public, ok := key.Public().(interface{ Equal(crypto.PublicKey) bool })
	return ok && public.Equal(cert.PublicKey)
}

// ReadCertificates reads the certificates of a file in their order, in the forms that
// [LoadKeyPair] takes. A key alone is an error.
func ReadCertificates(file, passwordFile string) ([]*x509.Certificate, error) {
	return readCertificates(file, passwordFile, maxPairFile, areSwapped)
}

// readCertificates reads all certificates of a file. The hint is added to the error if the file
// has a key instead.
func readCertificates(file, passwordFile string, limit int64, hint string) ([]*x509.Certificate, error) {
	blocks, err := readBlocks("certificate", file, passwordFile, "CERTIFICATE", limit)
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
			return nil, fmt.Errorf("certificate number %d in %q %s", len(certs)+1, file, chain.Unreadable(block.Bytes, err))
		}
		if err := strength.CheckSize(cert.PublicKey); err != nil {
			return nil, fmt.Errorf("certificate number %d in %q has %w", len(certs)+1, file, err)
		}
		certs = append(certs, cert)
	}
	if len(certs) == 0 {
		return nil, wrongBlock("certificate", file, blocks, hint)
	}
	return certs, nil
}

// ReadKeys reads all private keys of a file, at least one.
func ReadKeys(file, passwordFile string) ([]crypto.Signer, error) {
	return readKeysOr(areSwapped, file, passwordFile)
}

// readKeysOr is ReadKeys with a hint for a file that has none.
func readKeysOr(hint, file, passwordFile string) (keys []crypto.Signer, err error) {
	blocks, err := readBlocks("key", file, passwordFile, "PRIVATE KEY", maxPairFile)
	if err != nil {
		return nil, err
	}
	for _, block := range blocks {
		var key crypto.Signer
		switch {
		case block.Headers["DEK-Info"] != "":
			err = errors.New("is encrypted in OpenSSL's old way (DEK-Info), which isn't supported, being weak: run `openssl pkcs8 -topk8` on it, and use what that writes")
		case block.Type == "ENCRYPTED PRIVATE KEY":
			key, err = decryptKey(block.Bytes, passwordFile)
		case block.Type == "PRIVATE KEY" || block.Type == "RSA PRIVATE KEY" || block.Type == "EC PRIVATE KEY":
			key, err = parseKey(block)
		default:
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("key %q %w", file, err)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, wrongBlock("key", file, blocks, hint)
	}
	return keys, nil
}

// parseKey drops the errors of crypto/x509: they could contain a part of the key.
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
	return signerOf(key)
}

func signerOf(key any) (crypto.Signer, error) {
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
