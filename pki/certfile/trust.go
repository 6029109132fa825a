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

// ReadToShow reads all certificates of a file, in PEM, DER, PKCS#7 or PKCS#12, in their order,
// to show them to the user. passwordFile is as in [LoadKeyPair].
func ReadToShow(file, passwordFile string) ([]*x509.Certificate, error) {
	return readCertificates(file, passwordFile, maxBundleFile, "name the file of its certificate instead")
}

// CheckCAs says in one sentence why no CA in a file can be used at the time now: expired, not
// valid yet, or with a weak key. It returns nil if one of them can be used; the others may be
// there for a change of CAs.
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

// ChainWarnings returns a sentence for each reason why peers would refuse the chain of a pair.
// With client, it is presented to servers, otherwise to clients. issuers are CAs that the peers
// are likely to have.
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

// UsageOf returns the extended key usage that the certificate of a client, or a server, needs.
func UsageOf(client bool) x509.ExtKeyUsage {
	if client {
		return x509.ExtKeyUsageClientAuth
	}
	return x509.ExtKeyUsageServerAuth
}

// WhyUntrusted verifies the chain of a server, the leaf first, as a client does that trusts
// roots and expects the name. If roots is nil, they are those of the operating system. trusted
// has the CAs in roots, if they are known. The error says in one sentence why the chain isn't
// trusted. It is nil if the chain is trusted.
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
