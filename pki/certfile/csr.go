package certfile

import (
	"cmp"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"io"
	"strings"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/strength"
)

// ReadCSR reads a certificate request, PEM or DER. It doesn't judge it: [CheckCSR] does.
func ReadCSR(file string) (*x509.CertificateRequest, error) {
	const what = "certificate request"
	blocks, err := readBlocks(what, file, "", "CERTIFICATE REQUEST", maxPairFile)
	if errors.Is(err, errEncrypted) {
		return nil, fmt.Errorf("%s %q holds something encrypted where a certificate request is needed: %s", what, file, needCSR)
	}
	if err != nil {
		return nil, err
	}
	var requests []*x509.CertificateRequest
	for _, block := range blocks {
		if blockTypes[block.Type] != "a certificate request" {
			continue
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s %q is damaged or has a key of an unknown kind: ask for it again, with an RSA, ECDSA (P-256, P-384, P-521) or Ed25519 key", what, file)
		}
		requests = append(requests, csr)
	}
	switch len(requests) {
	case 0:
		return nil, wrongBlock(what, file, blocks, needCSR)
	case 1:
		return requests[0], nil
	}
	return nil, fmt.Errorf("%q holds %d certificate requests: put each into a file of its own", file, len(requests))
}

// CheckCSR says why no certificate can be made from a request. The error begins with "the
// request".
func CheckCSR(csr *x509.CertificateRequest) error {
	if err := strength.Check(csr.PublicKey); err != nil {
		return fmt.Errorf("the request has %w", err)
	}
	err := csr.CheckSignature()
	switch {
	case errors.As(err, new(x509.InsecureAlgorithmError)):
		return fmt.Errorf("the request is signed in a way that is too weak, %v: ask for one signed with SHA-256 or better", csr.SignatureAlgorithm)
	case err != nil:
		return errors.New("the request has a broken signature: it was changed on the way or isn't from the owner of the key, so ask for it again")
	}
	return nil
}

// CSRDescription describes a certificate request in words.
type CSRDescription struct {
	Subject     string   `json:"subject"`
	Names       []string `json:"names"` // the SANs: DNS names, IP and email addresses, URIs
	PublicKey   string   `json:"public_key"`
	KeyUsage    []string `json:"key_usage"` // that it asks for, and likewise
	ExtKeyUsage []string `json:"ext_key_usage"`
	Signature   string   `json:"signature"` // SHA256-RSA
	Problem     string   `json:"problem"`   // of [CheckCSR]; "" if there is none
	NotCopied   []string `json:"not_copied"`
}

// DescribeCSR describes a request. All text in the result can be printed as it is.
func DescribeCSR(csr *x509.CertificateRequest) CSRDescription {
	d := CSRDescription{
		Subject:   dn.Text(csr.Subject),
		Names:     SANs(&x509.Certificate{DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses, EmailAddresses: csr.EmailAddresses, URIs: csr.URIs}),
		PublicKey: publicKeyText(&x509.Certificate{PublicKey: csr.PublicKey, PublicKeyAlgorithm: csr.PublicKeyAlgorithm}),
		Signature: signatureText(csr.SignatureAlgorithm),
		NotCopied: notCopied(csr),
	}
	d.KeyUsage, d.ExtKeyUsage = requestedUsage(csr)
	if err := CheckCSR(csr); err != nil {
		d.Problem = err.Error()
	}
	return d
}

// WriteText is like that of [Description].
func (d CSRDescription) WriteText(w io.Writer) error {
	signature := d.Signature + ", ok"
	if d.Problem != "" {
		signature = d.Signature
	}
	return writeParts(w, []part{
		{"subject", []string{d.Subject}},
		{"names", d.Names},
		{"public key", []string{d.PublicKey}},
		{"key usage", []string{strings.Join(d.KeyUsage, ", ")}},
		{"extended usage", []string{strings.Join(d.ExtKeyUsage, ", ")}},
		{"signature", []string{signature}},
		{"problem", []string{d.Problem}},
		{"not copied", d.NotCopied},
	})
}

// notCopied returns the parts of a request that no certificate gets.
func notCopied(csr *x509.CertificateRequest) (words []string) {
	_, left := dn.SubjectOf(csr.Subject)
	for _, field := range left {
		words = append(words, "subject field "+dn.Text(pkix.Name{Names: []pkix.AttributeTypeAndValue{field}}))
	}
	for _, extension := range csr.Extensions {
		switch oid := extension.Id.String(); oid {
		case "2.5.29.14": // the key ID, which the CA computes itself
		case oidKeyUsage:
			words = append(words, "key usage: that is up to us")
		case oidExtKeyUsage:
			words = append(words, "extended usage: that is up to us")
		case "2.5.29.17":
			if hasOtherNames(extension.Value) {
				words = append(words, "names of other kinds")
			}
		case "2.5.29.19":
			var constraints struct {
				CA   bool          `asn1:"optional"`
				Rest asn1.RawValue `asn1:"optional"`
			}
			if _, err := asn1.Unmarshal(extension.Value, &constraints); err != nil || constraints.CA {
				words = append(words, "CA: it asks to be a CA itself")
			}
		default:
			words = append(words, "extension "+cmp.Or(extensionNames[oid], "unknown")+" ("+oid+")")
		}
	}
	return words
}

const (
	oidKeyUsage    = "2.5.29.15"
	oidExtKeyUsage = "2.5.29.37"
)

// requestedUsage returns the key usages that a request asks for, in the words of [Description].
func requestedUsage(csr *x509.CertificateRequest) (usage, extended []string) {
	var asked x509.Certificate
	for _, extension := range csr.Extensions {
		switch extension.Id.String() {
		case oidKeyUsage:
			var bits asn1.BitString
			if _, err := asn1.Unmarshal(extension.Value, &bits); err != nil {
				usage = []string{"damaged"}
			}
			for i := range bits.BitLength {
				asked.KeyUsage |= x509.KeyUsage(bits.At(i) << i)
			}
		case oidExtKeyUsage:
			var oids []asn1.ObjectIdentifier
			if _, err := asn1.Unmarshal(extension.Value, &oids); err != nil {
				extended = []string{"damaged"}
			}
			for _, oid := range oids {
				addExtKeyUsage(&asked, oid)
			}
		}
	}
	return append(usage, keyUsageText(asked.KeyUsage)...), append(extended, chain.Usages(&asked)...)
}

// addExtKeyUsage sorts the usages as crypto/x509 does when it parses a certificate.
func addExtKeyUsage(cert *x509.Certificate, oid asn1.ObjectIdentifier) {
	for usage := x509.ExtKeyUsageAny; usage <= x509.ExtKeyUsageMicrosoftKernelCodeSigning; usage++ {
		if usage.OID().EqualASN1OID(oid) {
			cert.ExtKeyUsage = append(cert.ExtKeyUsage, usage)
			return
		}
	}
	cert.UnknownExtKeyUsage = append(cert.UnknownExtKeyUsage, oid)
}

// hasOtherNames reports whether there are SANs that aren't email or IP addresses, DNS names or
// URIs.
func hasOtherNames(der []byte) bool {
	var names []asn1.RawValue
	if _, err := asn1.Unmarshal(der, &names); err != nil {
		return true
	}
	for _, name := range names {
		if name.Tag != 1 && name.Tag != 2 && name.Tag != 6 && name.Tag != 7 {
			return true
		}
	}
	return false
}
