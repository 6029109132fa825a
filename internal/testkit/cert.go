package testkit

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"sync"
	"time"
)

// Cert is a certificate with its key. It may be a CA.
type Cert struct {
	*x509.Certificate
	Key    crypto.Signer // nil if only the public key is known
	issuer *Cert         // nil if self-signed
}

// NewCA makes a root that is valid for a day, with the serial number 1. Each edit may change it before
// it is signed.
func NewCA(name string, edits ...func(*x509.Certificate)) *Cert {
	return NewCAFor(NewKey(), name, edits...)
}

// NewCAFor is NewCA with an existing key.
func NewCAFor(key crypto.Signer, name string, edits ...func(*x509.Certificate)) *Cert {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
	return sign(template, key, nil, append([]func(*x509.Certificate){AsCA}, edits...))
}

// Issue makes a certificate of ca, with a new key and the serial number 2: valid for a day, for servers
// and clients, and for name as the host. Each edit may change it before it is signed.
func (ca *Cert) Issue(name string, edits ...func(*x509.Certificate)) *Cert {
	return ca.IssueFor(NewKey(), name, edits...)
}

// IssueFor is Issue with an existing key: a [crypto.Signer], or a public key.
func (ca *Cert) IssueFor(key any, name string, edits ...func(*x509.Certificate)) *Cert {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	return sign(template, key, ca, edits)
}

// AsCA makes a CA of a certificate. It is an edit for Issue.
func AsCA(c *x509.Certificate) {
	c.IsCA, c.BasicConstraintsValid, c.KeyUsage = true, true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign
	c.ExtKeyUsage, c.DNSNames = nil, nil
}

func sign(template *x509.Certificate, key any, by *Cert, edits []func(*x509.Certificate)) *Cert {
	for _, edit := range edits {
		edit(template)
	}
	return Sign(template, key, by)
}

// Sign makes what the template says, for a key that is a [crypto.Signer] or a public key. If by is nil,
// it is self-signed. The template isn't changed. An error is a panic, so that certificates can be global.
func Sign(template *x509.Certificate, key any, by *Cert) *Cert {
	c := &Cert{issuer: by}
	public := key
	if signer, ok := key.(crypto.Signer); ok {
		c.Key, public = signer, signer.Public()
	}
	if by == nil {
		by = &Cert{Certificate: template, Key: c.Key}
	}
	c.Certificate = must(x509.ParseCertificate(must(x509.CreateCertificate(rand.Reader, template, by.Certificate, public, by.Key))))
	return c
}

// WithSHA1 writes SHA-1 over the algorithm of a certificate's RSA signature, which was SHA-256: crypto/x509
// signs nothing with SHA-1. The signature doesn't fit any more.
func WithSHA1(der []byte) []byte {
	const pkcs1 = "\x2a\x86\x48\x86\xf7\x0d\x01\x01" // 1.2.840.113549.1.1
	return bytes.ReplaceAll(der, []byte(pkcs1+"\x0b"), []byte(pkcs1+"\x05"))
}

// TLS returns the chain for a tls.Config: c and the certificates above it, the root included.
func (c *Cert) TLS() tls.Certificate {
	shown := tls.Certificate{PrivateKey: c.Key, Leaf: c.Certificate}
	for ; c != nil; c = c.issuer {
		shown.Certificate = append(shown.Certificate, c.Raw)
	}
	return shown
}

// Pool returns a pool with only c.
func (c *Cert) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(c.Certificate)
	return pool
}

// PEM is the certificate without those above it.
func (c *Cert) PEM() []byte {
	return PEM("CERTIFICATE", c.Raw)
}

// KeyPEM is the key as PKCS #8.
func (c *Cert) KeyPEM() []byte {
	return PEM("PRIVATE KEY", must(x509.MarshalPKCS8PrivateKey(c.Key)))
}

// NewKey makes an ECDSA P-256 key, which takes some 20 µs.
func NewKey() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) }

var rsaKeys sync.Map // of func() *rsa.PrivateKey, by their bits

// RSAKey is an RSA key of so many bits. It is the same in every call, since a new one takes long to make.
func RSAKey(bits int) *rsa.PrivateKey {
	key, _ := rsaKeys.LoadOrStore(bits, sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, bits)) }))
	return key.(func() *rsa.PrivateKey)()
}

// RSAPublic is a public key of so many bits that nobody has the private one of. It is no product of primes.
func RSAPublic(bits int) *rsa.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
	return &rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537}
}

// PEM is one block, of a kind such as CERTIFICATE.
func PEM(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
