package pki

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/strength"
)

// NewCSR makes a key of the type keyType and a request to a CA, and writes them as
// NAME.key and NAME.csr into the folder out. It returns their paths. Nothing is
// overwritten, both are made or none, and out can't be the PKI folder pkiDir.
// Server, Client and Validity of r don't count: they are up to the CA. Without any
// name for peers to look for, the common name is one, if it has the form of one.
func NewCSR(r Request, keyType, out, pkiDir string) ([]string, error) {
	if len(r.names()) == 0 {
		r.addName(r.subject().CommonName)
	}
	if name := r.subject().CommonName; utf8.RuneCountInString(name) > maxCommonName {
		return nil, fmt.Errorf("common name %q is too long: %d characters, at most %d are allowed: say a shorter one with --common-name, and the whole by --dns", name, utf8.RuneCountInString(name), maxCommonName)
	}
	if err := r.validateNames(); err != nil {
		return nil, err
	}
	if err := checkKeyType(keyType); err != nil {
		return nil, err
	}
	keyFile, csrFile := filepath.Join(out, r.Name+".key"), filepath.Join(out, r.Name+".csr")
	if err := makeRoom(out, pkiDir, keyFile, csrFile); err != nil {
		return nil, err
	}
	subject, err := r.subject().marshal()
	if err != nil {
		return nil, fmt.Errorf("encoding the subject: %w", err)
	}
	key, err := generateKey(keyType)
	if err != nil {
		return nil, err
	}
	keyPEM, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{
		RawSubject: subject,
		DNSNames:   r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses, URIs: r.URIs,
	}, key)
	if err != nil {
		return nil, fmt.Errorf("making a certificate request: %w", err)
	}
	return publish([]newFile{
		{keyFile, keyPEM, atomicfile.Secret},
		{csrFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), atomicfile.Public},
	}, nil)
}

func (r Request) names() []string {
	return sanText(&x509.Certificate{DNSNames: r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses, URIs: r.URIs})
}

// ReadCSR reads a certificate request, PEM or DER. Whether it is any good is for
// [CheckCSR].
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

// CheckCSR says why no certificate can be made from a request. The error begins
// with what it is about: "the request".
func CheckCSR(csr *x509.CertificateRequest) error {
	if err := strength.Check(csr.PublicKey); err != nil {
		return fmt.Errorf("the request has %w", err)
	}
	err := csr.CheckSignature()
	switch {
	case errors.As(err, new(x509.InsecureAlgorithmError)):
		return fmt.Errorf("the request is signed in a way that is too weak, %v: ask for one signed with SHA-256 or better", csr.SignatureAlgorithm)
	case err != nil:
		return errors.New("the request has a broken signature: it was changed on the way or isn't from who has the key, so ask for it again")
	}
	return nil
}

// CSRDescription is what a person looks for in a certificate request, in words.
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
		Names:     requested(csr).names(),
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

// requested is what a certificate takes from a request.
func requested(csr *x509.CertificateRequest) Request {
	subject, _ := takeSubject(csr)
	return Request{Subject: subject, DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses, EmailAddresses: csr.EmailAddresses, URIs: csr.URIs}
}

// takeSubject leaves out the fields that [Subject] doesn't know, and all but the
// first of a kind: two common names could be read in two ways.
func takeSubject(csr *x509.CertificateRequest) (s Subject, left []pkix.AttributeTypeAndValue) {
	for _, field := range csr.Subject.Names {
		i := slices.IndexFunc(attributes, func(a attribute) bool { return a.oid.Equal(field.Type) })
		if i < 0 || *attributes[i].value(&s) != "" {
			left = append(left, field)
			continue
		}
		*attributes[i].value(&s) = fmt.Sprint(field.Value)
	}
	return s, left
}

// notCopied tells what a request asks for and no certificate gets.
func notCopied(csr *x509.CertificateRequest) (words []string) {
	_, left := takeSubject(csr)
	for _, field := range left {
		words = append(words, "subject field "+dn.Text(pkix.Name{Names: []pkix.AttributeTypeAndValue{field}}))
	}
	for _, extension := range csr.Extensions {
		switch oid := extension.Id.String(); oid {
		case "2.5.29.14": // the ID of the key, which is made anew
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

// requestedUsage is what a key shall be for, in the words of a certificate's
// description.
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

// addExtKeyUsage does what parsing a certificate does.
func addExtKeyUsage(cert *x509.Certificate, oid asn1.ObjectIdentifier) {
	for usage := x509.ExtKeyUsageAny; usage <= x509.ExtKeyUsageMicrosoftKernelCodeSigning; usage++ {
		if usage.OID().EqualASN1OID(oid) {
			cert.ExtKeyUsage = append(cert.ExtKeyUsage, usage)
			return
		}
	}
	cert.UnknownExtKeyUsage = append(cert.UnknownExtKeyUsage, oid)
}

// hasOtherNames looks for SANs that aren't email or IP addresses, DNS names or URIs.
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

// SignCSR makes a certificate from a request, and writes it as NAME.crt, in which
// the CA follows, into the folder out. It returns its path. Name, Server, Client,
// Validity and Exact of r count; subject, names and key are those of the request, and
// nothing else of it gets into the certificate. An empty Name stands for the common
// name of the request or, without one, its first name. A server without DNS names and IP
// addresses gets the common name, which must have the form of one. Nothing is overwritten.
func (a *Authority) SignCSR(csr *x509.CertificateRequest, r Request, out string) (*x509.Certificate, string, error) {
	if err := errors.Join(CheckCSR(csr), a.crlErr); err != nil {
		return nil, "", err
	}
	asked := requested(csr)
	r.Subject, r.DNSNames, r.IPAddresses = asked.Subject, asked.DNSNames, asked.IPAddresses
	r.EmailAddresses, r.URIs = asked.EmailAddresses, asked.URIs
	named := r.Name != ""
	r.Name = cmp.Or(r.Name, asked.Subject.CommonName)
	if names := asked.names(); r.Name == "" && len(names) > 0 {
		r.Name = names[0]
	}
	if r.Name == "" {
		return nil, "", errors.New("the request has no name at all: say one with --name")
	}
	if r.Server && len(r.DNSNames)+len(r.IPAddresses) == 0 {
		if r.addName(asked.Subject.CommonName); len(r.DNSNames)+len(r.IPAddresses) == 0 {
			return nil, "", errors.New("the request names no DNS name and no IP address, and without one no client accepts a server: ask for a request that does")
		}
	}
	err := r.validate()
	if errors.Is(err, errFileName) && !named {
		err = fmt.Errorf("%w, and say it with --name", err)
	}
	if err != nil {
		return nil, "", err
	}
	file := filepath.Join(out, r.Name+".crt")
	if err := makeRoom(out, a.dir, file); err != nil {
		return nil, "", err
	}
	cert, err := a.certify(r, csr.PublicKey)
	if err != nil {
		return nil, "", err
	}
	_, err = publish([]newFile{{file, encodeCertificates(cert, a.ca.cert), atomicfile.Public}},
		func() error { return adviseRights(recordIssued(a.dir, r.Name, cert)) })
	return cert, file, err
}
