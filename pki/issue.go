package pki

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"slices"
	"time"

	"tlstunnel/internal/dn"
)

// backdate is how long before now a certificate begins, so that a peer whose clock is slow
// accepts it at once.
const backdate = time.Hour

// appleDays is how long the certificate of a server may be valid for Apple's systems, from
// begin to end, those of added CAs too (https://support.apple.com/en-us/103769).
const appleDays = 825

const appleLife = appleDays * 24 * time.Hour

// TooLongForApple returns a sentence if Apple's systems refuse a server certificate of this
// validity, otherwise "".
func TooLongForApple(validity time.Duration) string {
	if validity <= appleLife {
		return ""
	}
	return fmt.Sprintf("a server certificate for %d days: Apple's systems refuse those of more than %d, also from a CA of your own; others take it", validity/(24*time.Hour), appleDays)
}

// endOf returns when a server certificate with this validity ends. It begins before now
// (backdate), and Apple's systems count from there. So if the whole would be longer than they
// accept, it ends earlier by the same time.
func endOf(now time.Time, validity time.Duration) time.Time {
	if validity <= appleLife {
		validity = min(validity, appleLife-backdate-time.Second) // notAfter itself still belongs to the validity
	}
	return now.Add(validity)
}

// issuer is a CA that can sign.
type issuer struct {
	cert *x509.Certificate
	key  crypto.Signer
}

func issuerOf(pair tls.Certificate) issuer {
	return issuer{cert: pair.Leaf, key: pair.PrivateKey.(crypto.Signer)}
}

func (s Settings) newCA(commonName string, pathLen int, now time.Time) (issuer, error) {
	key, err := GenerateKey(s.KeyType)
	if err != nil {
		return issuer{}, err
	}
	subject := s.Subject
	subject.CommonName = commonName
	template, err := newTemplate(subject, key.Public(), now, now.Add(s.CAValidity))
	if err != nil {
		return issuer{}, err
	}
	template.IsCA = true
	template.MaxPathLen, template.MaxPathLenZero = pathLen, pathLen == 0 // with 0 the CA signs leaves only
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign

	cert, err := sign(template, key.Public(), issuer{cert: template, key: key})
	return issuer{cert: cert, key: key}, err
}

// caCommonName returns a name by which a person finds this CA in a list of trusted CAs.
func caCommonName(host, date string) string {
	const prefix = "tlstunnel CA "
	return prefix + truncate(host, dn.MaxCommonName-len(prefix)-len(date)-1) + " " + date
}

func (s Settings) newServer(ca issuer, m machine, now time.Time) (*x509.Certificate, crypto.Signer, error) {
	key, err := GenerateKey(s.KeyType)
	if err != nil {
		return nil, nil, err
	}
	cert, err := s.newServerFor(key, ca, m, now)
	return cert, key, err
}

func (s Settings) newServerFor(key crypto.Signer, ca issuer, m machine, now time.Time) (*x509.Certificate, error) {
	subject := s.Subject
	subject.CommonName = s.commonName(m)
	template, err := newTemplate(subject, key.Public(), now, earlier(endOf(now, s.CertValidity), ca.cert.NotAfter))
	if err != nil {
		return nil, err
	}
	template.KeyUsage = leafUsage(key.Public())
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	// Peers verify the SANs only, so a common name that is a host name becomes one.
	template.DNSNames, template.IPAddresses = m.subjectAltNames(append(slices.Clone(s.Names), subject.CommonName))

	return sign(template, key.Public(), ca)
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func leafUsage(key crypto.PublicKey) x509.KeyUsage {
	if _, ok := key.(*rsa.PublicKey); ok {
		return x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment // TLS 1.2 without forward secrecy
	}
	return x509.KeyUsageDigitalSignature
}

func newTemplate(subject dn.Subject, key crypto.PublicKey, now, notAfter time.Time) (*x509.Certificate, error) {
	rawSubject, err := subject.Marshal()
	if err != nil {
		return nil, fmt.Errorf("encoding the subject: %w", err)
	}
	keyID, err := subjectKeyID(key)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 128))
	if err != nil {
		return nil, fmt.Errorf("making a serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber:          serial,
		RawSubject:            rawSubject,
		SubjectKeyId:          keyID,
		NotBefore:             now.Add(-backdate),
		NotAfter:              notAfter,
		BasicConstraintsValid: true,
	}, nil
}

// subjectKeyID is the hash of the public key by RFC 7093, section 2, method 1.
func subjectKeyID(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding a public key: %w", err)
	}
	var info struct {
		Algorithm pkix.AlgorithmIdentifier
		PublicKey asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &info); err != nil {
		return nil, fmt.Errorf("decoding a public key: %w", err)
	}
	sum := sha256.Sum256(info.PublicKey.Bytes)
	return sum[:20], nil // 160 bits
}

func sign(template *x509.Certificate, key crypto.PublicKey, ca issuer) (*x509.Certificate, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, ca.cert, key, ca.key)
	if err != nil {
		return nil, fmt.Errorf("signing a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}
