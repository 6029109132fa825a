package certfile

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
)

// Description describes a certificate in words.
type Description struct {
	Subject            string    `json:"subject"` // C=KR, O=Example, CN=host
	Issuer             string    `json:"issuer"`
	Names              []string  `json:"names"`      // the SANs: DNS names, IP and email addresses, URIs
	PublicKey          string    `json:"public_key"` // RSA 2048 bits
	NotBefore          time.Time `json:"not_before"`
	NotAfter           time.Time `json:"not_after"`
	Validity           string    `json:"validity"` // valid, 364 days left
	Serial             string    `json:"serial"`
	SignatureAlgorithm string    `json:"signature_algorithm"`
	Fingerprint        string    `json:"fingerprint"` // see [Fingerprint]
	Pin                string    `json:"pin"`         // see [Pin]
	CA                 string    `json:"ca"`          // yes, path length 0
	KeyUsage           []string  `json:"key_usage"`
	ExtKeyUsage        []string  `json:"ext_key_usage"`
	SubjectKeyID       string    `json:"subject_key_id"`
	AuthorityKeyID     string    `json:"authority_key_id"`
	Extensions         []string  `json:"extensions"` // those without a field above
}

// Describe describes cert at the time now. All text in the result is safe to print: a foreign
// certificate can't send control characters to a terminal.
func Describe(cert *x509.Certificate, now time.Time) Description {
	return Description{
		Subject:            dn.Text(cert.Subject),
		Issuer:             dn.Text(cert.Issuer),
		Names:              SANs(cert),
		PublicKey:          publicKeyText(cert),
		NotBefore:          cert.NotBefore.UTC(),
		NotAfter:           cert.NotAfter.UTC(),
		Validity:           validityText(cert, now),
		Serial:             colonHex(cert.SerialNumber.Bytes()),
		SignatureAlgorithm: signatureText(cert.SignatureAlgorithm),
		Fingerprint:        dn.Fingerprint(cert),
		Pin:                Pin(cert),
		CA:                 caText(cert),
		KeyUsage:           keyUsageText(cert.KeyUsage),
		ExtKeyUsage:        chain.Usages(cert),
		SubjectKeyID:       colonHex(cert.SubjectKeyId),
		AuthorityKeyID:     colonHex(cert.AuthorityKeyId),
		Extensions:         extensionText(cert),
	}
}

// WriteText writes a line "name:  value" for each part, with the values
// aligned and each SAN on a line of its own. Empty parts are left out.
func (d Description) WriteText(w io.Writer) error {
	return writeParts(w, []part{
		{"subject", []string{d.Subject}},
		{"issuer", []string{d.Issuer}},
		{"names", d.Names},
		{"public key", []string{d.PublicKey}},
		{"not before", []string{date.Time(d.NotBefore)}},
		{"not after", []string{date.Time(d.NotAfter)}},
		{"validity", []string{d.Validity}},
		{"CA", []string{d.CA}},
		{"key usage", []string{strings.Join(d.KeyUsage, ", ")}},
		{"extended usage", []string{strings.Join(d.ExtKeyUsage, ", ")}},
		{"signature", []string{d.SignatureAlgorithm}},
		{"serial", []string{d.Serial}},
		{"subject key", []string{d.SubjectKeyID}},
		{"authority key", []string{d.AuthorityKeyID}},
		{"extensions", d.Extensions},
		{"SHA-256", []string{d.Fingerprint}},
		{"pin", []string{d.Pin}},
	})
}

// part is a name with its values, a line for each.
type part struct {
	name   string
	values []string
}

// writeParts aligns the values and leaves out the empty ones.
func writeParts(w io.Writer, parts []part) error {
	var b strings.Builder
	for _, part := range parts {
		label := part.name + ":"
		for _, value := range part.values {
			if value != "" {
				fmt.Fprintf(&b, "%-16s %s\n", label, value)
				label = ""
			}
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// Pin is the SHA-256 of the public key (SubjectPublicKeyInfo, as in RFC 7469) in
// base64, in the form that pins and allow of a tunnel take.
func Pin(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "sha256:" + base64.StdEncoding.EncodeToString(sum[:])
}

func colonHex(b []byte) string {
	var pairs []string
	for _, octet := range b {
		pairs = append(pairs, strings.ToUpper(hex.EncodeToString([]byte{octet})))
	}
	return strings.Join(pairs, ":")
}

// SANs are the names in a certificate, as text: DNS names, IP and email addresses, URIs.
func SANs(cert *x509.Certificate) []string {
	var names []string
	for _, name := range cert.DNSNames {
		names = append(names, dn.Quote(name))
	}
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, email := range cert.EmailAddresses {
		names = append(names, dn.Quote(email))
	}
	for _, uri := range cert.URIs {
		names = append(names, dn.Quote(uri.String()))
	}
	return names
}

func publicKeyText(cert *x509.Certificate) string {
	switch key := cert.PublicKey.(type) {
	case *rsa.PublicKey:
		return fmt.Sprintf("RSA %d bits", key.N.BitLen())
	case *ecdsa.PublicKey:
		return "ECDSA " + key.Curve.Params().Name
	case ed25519.PublicKey:
		return "Ed25519"
	}
	if cert.PublicKeyAlgorithm == x509.UnknownPublicKeyAlgorithm {
		return "of a kind that isn't supported"
	}
	return cert.PublicKeyAlgorithm.String()
}

func signatureText(algorithm x509.SignatureAlgorithm) string {
	if algorithm == x509.UnknownSignatureAlgorithm {
		return "of a kind that isn't supported"
	}
	return algorithm.String()
}

func validityText(cert *x509.Certificate, now time.Time) string {
	switch {
	case now.Before(cert.NotBefore):
		return "not valid yet, " + days(cert.NotBefore.Sub(now)) + " to go"
	case now.After(cert.NotAfter):
		return "expired " + days(now.Sub(cert.NotAfter)) + " ago"
	}
	return "valid, " + days(cert.NotAfter.Sub(now)) + " left"
}

func days(d time.Duration) string {
	switch n := int(d / (24 * time.Hour)); n {
	case 0:
		return "less than a day"
	case 1:
		return "1 day"
	default:
		return fmt.Sprintf("%d days", n)
	}
}

func caText(cert *x509.Certificate) string {
	switch {
	case !cert.BasicConstraintsValid || !cert.IsCA:
		return "no"
	case cert.MaxPathLen > 0 || cert.MaxPathLen == 0 && cert.MaxPathLenZero:
		return fmt.Sprintf("yes, path length %d", cert.MaxPathLen)
	}
	return "yes, any path length"
}

func keyUsageText(usage x509.KeyUsage) []string {
	var words []string
	for bit, word := range []string{ // in the order of RFC 5280, section 4.2.1.3, and of the constants
		"digital signature", "content commitment", "key encipherment", "data encipherment", "key agreement",
		"certificate signing", "CRL signing", "encipher only", "decipher only",
	} {
		if usage&(1<<bit) != 0 {
			words = append(words, word)
		}
	}
	return words
}
