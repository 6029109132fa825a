package pki

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"tlstunnel/internal/dn"
)

// ReadCertificates reads what a person wants to see: all certificates of a file in
// PEM, DER, PKCS#7 or PKCS#12, in their order. passwordFile is as in [LoadKeyPair].
func ReadCertificates(file, passwordFile string) ([]*x509.Certificate, error) {
	return readCertificates(file, passwordFile, maxBundleFile, "name the file of its certificate instead")
}

// CheckCAs says in one sentence why none of the CAs in a file is of use at the time
// now: expired, not valid yet, or with a weak key. It is nil if one of them is; the
// others may be there for a change of CAs.
func CheckCAs(file string, cas []*x509.Certificate, now time.Time) (err error) {
	for _, ca := range cas {
		problem := checkValidity(file, ca, now, "get the present one from the CA, or remove this one")
		if weak := checkKey(ca.PublicKey); problem == nil && weak != nil {
			problem = fmt.Errorf("certificate %q has %w", file, weak)
		}
		if problem == nil {
			return nil
		}
		err = cmp.Or(err, problem)
	}
	return err
}

// CheckChain says that a certificate of a pair isn't signed by a CA.
func CheckChain(pair tls.Certificate) error {
	var certs []*x509.Certificate
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return err
		}
		certs = append(certs, cert)
	}
	return falseSigner(certs)
}

// WhyUntrusted verifies the chain that a server shows, the leaf first, as a client
// does that trusts the roots, which is nil for those of the operating system, and
// wants the name. The error is one sentence for who asks why; nil if it is trusted.
func WhyUntrusted(chain []*x509.Certificate, roots *x509.CertPool, name string, now time.Time) error {
	leaf := chain[0]
	options := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool(), CurrentTime: now}
	for _, cert := range chain[1:] {
		options.Intermediates.AddCert(cert)
	}
	if err := checkValidity(dn.Text(leaf.Subject), leaf, now, "it must be renewed"); err != nil {
		return err
	}
	if _, err := leaf.Verify(options); err != nil {
		return explainChain(chain, err)
	}
	if err := leaf.VerifyHostname(name); err != nil {
		names := list(sanText(leaf))
		if names == "" {
			return fmt.Errorf("it has no names (SANs) at all, and so isn't for %q: a new one with that name is needed", name)
		}
		return fmt.Errorf("it isn't for %q, but for %s: connect by one of these names, or name it as server_name", name, names)
	}
	return nil
}

func explainChain(chain []*x509.Certificate, err error) error {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		if err := falseSigner(chain); err != nil {
			return err
		}
		ordered, _ := order(chain, 0)
		switch top := ordered[len(ordered)-1]; {
		case selfSigned(top) && len(ordered) == 1:
			return errors.New("it is self-signed, and not itself among the trusted: trust it by ca or pins, if you know it to be right")
		case selfSigned(top):
			return fmt.Errorf("its CA %q (SHA-256 %s) isn't trusted", dn.Text(top.Subject), Fingerprint(top))
		default:
			return fmt.Errorf("its CA %q isn't trusted, or the certificate of a CA in between, which issued %q, is missing in the chain", dn.Text(top.Issuer), dn.Text(top.Subject))
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Errorf("the certificate %q of its chain has expired or isn't valid yet: it must be renewed", dn.Text(invalid.Cert.Subject))
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return errors.New("it isn't for TLS servers: one with the extended usage \"TLS server\" is needed")
	}
	return fmt.Errorf("its chain can't be verified: %w", err)
}

// falseSigner finds a certificate that signed another and isn't a CA's.
func falseSigner(certs []*x509.Certificate) error {
	for _, signer := range certs {
		if isCA(signer) {
			continue
		}
		for _, cert := range certs {
			if signedBy(cert, signer) && !selfSigned(cert) {
				return fmt.Errorf("the certificate %q is signed by %q, which isn't a CA (CA:FALSE), so that no peer accepts it: get one from a CA", dn.Text(cert.Subject), dn.Text(signer.Subject))
			}
		}
	}
	return nil
}

func selfSigned(cert *x509.Certificate) bool { return signedBy(cert, cert) }

// signedBy also says so of a signer that isn't a CA.
func signedBy(cert, signer *x509.Certificate) bool {
	return bytes.Equal(signer.RawSubject, cert.RawIssuer) &&
		signer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}
