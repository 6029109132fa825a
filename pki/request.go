package pki

import (
	"cmp"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"path/filepath"
	"unicode/utf8"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/dn"
	"tlstunnel/pki/certfile"
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
	if name := r.subject().CommonName; utf8.RuneCountInString(name) > dn.MaxCommonName {
		return nil, fmt.Errorf("common name %q is too long: %d characters, at most %d are allowed: give a shorter one with --common-name, and the whole by --dns", name, utf8.RuneCountInString(name), dn.MaxCommonName)
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
	subject, err := r.subject().Marshal()
	if err != nil {
		return nil, fmt.Errorf("encoding the subject: %w", err)
	}
	key, err := GenerateKey(keyType)
	if err != nil {
		return nil, err
	}
	keyPEM, err := certfile.EncodeKey(key)
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
	return certfile.SANs(&x509.Certificate{DNSNames: r.DNSNames, IPAddresses: r.IPAddresses, EmailAddresses: r.EmailAddresses, URIs: r.URIs})
}

// requested returns the parts of a request that a certificate gets.
func requested(csr *x509.CertificateRequest) Request {
	subject, _ := dn.SubjectOf(csr.Subject)
	return Request{Subject: subject, DNSNames: csr.DNSNames, IPAddresses: csr.IPAddresses, EmailAddresses: csr.EmailAddresses, URIs: csr.URIs}
}

// SignCSR makes a certificate from a request, and writes it as NAME.crt, in which
// the CA follows, into the folder out. It returns its path. Name, Server, Client,
// Validity and Exact of r count; subject, names and key are those of the request, and
// nothing else of it gets into the certificate. An empty Name stands for the common
// name of the request or, without one, its first name. A server without DNS names and IP
// addresses gets the common name, which must have the form of one. Nothing is overwritten.
func (a *Authority) SignCSR(csr *x509.CertificateRequest, r Request, out string) (*x509.Certificate, string, error) {
	if err := errors.Join(certfile.CheckCSR(csr), a.crlErr); err != nil {
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
		return nil, "", errors.New("the request has no name at all: give it one with --name")
	}
	if r.Server && len(r.DNSNames)+len(r.IPAddresses) == 0 {
		if r.addName(asked.Subject.CommonName); len(r.DNSNames)+len(r.IPAddresses) == 0 {
			return nil, "", errors.New("the request names no DNS name and no IP address, and without one no client accepts a server: ask for a request that does")
		}
	}
	err := r.validate()
	if errors.Is(err, errFileName) && !named {
		err = fmt.Errorf("%w, and give it with --name", err)
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
	_, err = publish([]newFile{{file, certfile.EncodeCertificates(cert, a.ca.cert), atomicfile.Public}},
		func() error { return adviseRights(recordIssued(a.dir, r.Name, cert)) })
	return cert, file, err
}
