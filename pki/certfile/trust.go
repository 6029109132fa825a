package certfile

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/quote"
	"tlstunnel/internal/strength"
)

// ReadToShow reads what a person wants to see: all certificates of a file in
// PEM, DER, PKCS#7 or PKCS#12, in their order. passwordFile is as in [LoadKeyPair].
func ReadToShow(file, passwordFile string) ([]*x509.Certificate, error) {
	return readCertificates(file, passwordFile, maxBundleFile, "name the file of its certificate instead")
}

// CheckCAs says in one sentence why none of the CAs in a file is of use at the time
// now: expired, not valid yet, or with a weak key. It is nil if one of them is; the
// others may be there for a change of CAs.
func CheckCAs(file string, cas []*x509.Certificate, now time.Time) (err error) {
	for _, ca := range cas {
		problem := CheckValidity(file, ca, now, "get the present one from the CA, or remove this one")
		if weak := strength.Check(ca.PublicKey); problem == nil && weak != nil {
			problem = fmt.Errorf("certificate %q has %w", file, weak)
		}
		if problem == nil {
			return nil
		}
		err = cmp.Or(err, problem)
	}
	return err
}

// ChainWarnings says in a sentence each why others would refuse the chain of a pair
// that is shown to servers, as a client, or to clients. The issuers are CAs that the
// other side is likely to have.
func ChainWarnings(pair tls.Certificate, client bool, issuers []*x509.Certificate, now time.Time) (warnings []string) {
	own := chain.Own{Usage: UsageOf(client), Now: now}
	for _, der := range pair.Certificate {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return []string{err.Error()}
		}
		own.Chain = append(own.Chain, cert)
	}
	for _, fault := range own.Faults() {
		warnings = append(warnings, fault.Error())
	}
	ordered, _ := chain.Order(own.Chain, 0)
	top := ordered[len(ordered)-1]
	known := slices.ContainsFunc(issuers, func(ca *x509.Certificate) bool { return chain.SelfSigned(ca) && chain.SignedBy(top, ca) })
	if missing := own.Missing(); missing != nil && !known {
		warnings = append(warnings, missing.Error()+"; add it to the file")
	}
	return warnings
}

// UsageOf is what a certificate must be for that a client, or a server, shows.
func UsageOf(client bool) x509.ExtKeyUsage {
	if client {
		return x509.ExtKeyUsageClientAuth
	}
	return x509.ExtKeyUsageServerAuth
}

// WhyUntrusted verifies the chain that a server shows, the leaf first, as a client
// does that trusts the roots and wants the name. Roots is nil for those of the
// operating system; trusted are those in it, if they are known. The error is one
// sentence that says why not. It is nil if the chain is trusted.
func WhyUntrusted(certs []*x509.Certificate, roots *x509.CertPool, trusted []*x509.Certificate, name string, now time.Time) error {
	judge := chain.Judge{Roots: roots, Trusted: trusted, Usage: x509.ExtKeyUsageServerAuth, Now: now, Whose: "the server", List: "ca"}
	if fault := judge.Verify(certs); fault != nil {
		return fault
	}
	if err := certs[0].VerifyHostname(name); err != nil {
		names := quote.List(SANs(certs[0]))
		if names == "" {
			return fmt.Errorf("it has no names (SANs) at all, and so isn't for %q: a new one with that name is needed", name)
		}
		return fmt.Errorf("it isn't for %q, but for %s: connect by one of these names, or name it as server_name", name, names)
	}
	return nil
}
