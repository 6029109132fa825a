package chain

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
)

// A Judge verifies the chains of other programs.
type Judge struct {
	Roots   *x509.CertPool      // nil: the CAs of the operating system
	Trusted []*x509.Certificate // the CAs in Roots, if they are known: a pool can't be listed
	Usage   x509.ExtKeyUsage    // what the leaf must be for
	Now     time.Time

	// For the remedies: whose chain it is ("the target"), and where a CA is added to
	// the trusted ones ("ca of this tunnel").
	Whose, List string
}

// Verify verifies a chain as it was sent, the leaf first. It returns nil if the chain is
// accepted. It doesn't check the name.
func (j Judge) Verify(sent []*x509.Certificate) *Fault {
	options := x509.VerifyOptions{Roots: j.Roots, Intermediates: x509.NewCertPool(), CurrentTime: j.Now, KeyUsages: []x509.ExtKeyUsage{j.Usage}}
	for _, cert := range sent[1:] {
		options.Intermediates.AddCert(cert)
	}
	if _, err := sent[0].Verify(options); err != nil {
		return j.Explain(sent, err)
	}
	return nil
}

// Explain returns the fault behind err, with which crypto/x509 refused a chain. For many faults
// crypto/x509 says only "signed by unknown authority", so Explain searches the chain.
func (j Judge) Explain(sent []*x509.Certificate, err error) *Fault {
	var unknown x509.UnknownAuthorityError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &unknown):
		return j.unknown(sent, cmp.Or(unknown.Cert, sent[0]))
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired: // also means not yet valid
		return j.outOfDate(sent[0], invalid.Cert)
	case errors.As(err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return j.misused(sent)
	case errors.As(err, &invalid) && invalid.Reason == x509.CANotAuthorizedForThisName:
		return newFault("name_constraints", "detail", strconv.Quote(invalid.Detail))
	case errors.As(err, &invalid) && invalid.Reason == x509.TooManyIntermediates:
		return newFault("path_length")
	}
	return newFault("unverifiable", "err", err.Error())
}

// Limits for the work that a stranger's chain can cause only for a message.
const (
	maxLength = 10 // of a chain; a real one has three or four
	maxChecks = 3  // of signatures, beside those of crypto/x509
)

// unknown follows the chain to the place where it breaks. crypto/x509 has verified the chain
// up to cert.
func (j Judge) unknown(sent []*x509.Certificate, cert *x509.Certificate) *Fault {
	leaf := sent[0]
	known := slices.Concat(sent[1:min(len(sent), maxLength)], j.Trusted)
	checks := maxChecks
	for path := []*x509.Certificate{cert}; len(path) < maxLength; path = append(path, cert) {
		if selfIssued(cert) {
			return j.untrusted(cert, cert == leaf)
		}
		if with := Refused(cert); with != "" {
			return newFault("old_signature", "cert", subject(cert), "with", with)
		}
		signer := signerIn(known, cert, path, &checks)
		switch {
		case signer == nil:
			return j.missing(sent, cert)
		case !maySign(signer):
			return falseSigner(cert, signer)
		case !bytes.Equal(signer.RawSubject, cert.RawIssuer):
			return newFault("issuer_misspelt", "cert", subject(cert), "signer", subject(signer))
		case j.Now.Before(signer.NotBefore), j.Now.After(signer.NotAfter):
			return j.outOfDate(leaf, signer)
		}
		cert = signer
	}
	return j.untrusted(leaf, false)
}

// signerIn returns a signer of cert that isn't in path. It finds the signer by its name, or by
// its key ID if the two names are encoded differently.
func signerIn(known []*x509.Certificate, cert *x509.Certificate, path []*x509.Certificate, checks *int) *x509.Certificate {
	for _, ca := range known {
		named := bytes.Equal(ca.RawSubject, cert.RawIssuer) ||
			len(cert.AuthorityKeyId) > 0 && bytes.Equal(ca.SubjectKeyId, cert.AuthorityKeyId)
		if !named || slices.ContainsFunc(path, ca.Equal) || *checks == 0 {
			continue
		}
		*checks--
		if signedWithKeyOf(cert, ca) {
			return ca
		}
	}
	return nil
}

// missing returns the fault of a chain that has no certificate of cert's issuer, neither sent
// nor trusted.
func (j Judge) missing(sent []*x509.Certificate, cert *x509.Certificate) *Fault {
	isNamesake := func(ca *x509.Certificate) bool { return bytes.Equal(ca.RawSubject, cert.RawIssuer) }
	values := []string{"issuer", issuer(cert), "cert", subject(cert), "owner", j.Whose, "list", j.List}
	if i := slices.IndexFunc(j.Trusted, isNamesake); i >= 0 {
		return newFault("other_ca_of_that_name", append(values, "fingerprint", dn.Fingerprint(j.Trusted[i]))...)
	}
	switch {
	case slices.ContainsFunc(sent[1:], isNamesake):
		return newFault("stale_intermediate", values...)
	case slices.ContainsFunc(sent[1:min(len(sent), maxLength)], j.isTrusted):
		return newFault("missing_intermediate", values...)
	default:
		return newFault("unknown_issuer", append(values, "more", keyID(cert))...)
	}
}

// isTrusted reports whether ca is trusted, or was issued by a trusted CA.
func (j Judge) isTrusted(ca *x509.Certificate) bool {
	if j.Trusted != nil {
		return slices.ContainsFunc(j.Trusted, ca.Equal)
	}
	_, err := ca.Verify(x509.VerifyOptions{Roots: j.Roots, Intermediates: x509.NewCertPool(), CurrentTime: j.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	return err == nil
}

// untrusted returns the fault of a complete chain whose last CA isn't trusted here.
func (j Judge) untrusted(top *x509.Certificate, alone bool) *Fault {
	code, more := "unknown_ca", ""
	if alone {
		code = "unknown_self_signed"
	}
	for _, ca := range j.Trusted {
		if bytes.Equal(ca.RawSubject, top.RawSubject) {
			more = fmt.Sprintf(", but one of the same name with another key is (SHA-256 %s)", dn.Fingerprint(ca))
			break
		}
	}
	return newFault(code, "subject", subject(top), "fingerprint", dn.Fingerprint(top), "more", more, "list", j.List)
}

func (j Judge) outOfDate(leaf, cert *x509.Certificate) *Fault {
	code := "expired"
	switch {
	case j.Now.Before(cert.NotBefore):
		code = "not_yet_valid"
	case slices.ContainsFunc(j.Trusted, cert.Equal):
		code = "expired_ca"
	case cert != leaf && IsCA(cert):
		code = "expired_intermediate"
	}
	return newFault(code, "cert", subject(cert), "from", date.Time(cert.NotBefore), "to", date.Time(cert.NotAfter), "now", date.Time(j.Now),
		"owner", j.Whose, "list", j.List)
}

// misused returns the fault of the certificate that isn't for j.Usage.
func (j Judge) misused(sent []*x509.Certificate) *Fault {
	ordered, _ := Order(sent[:min(len(sent), maxLength)], 0)
	for _, cert := range slices.Concat(ordered, j.Trusted) {
		if fault := wrongUse(cert, j.Usage); fault != nil {
			return fault
		}
	}
	return newFault("chain_of_wrong_use", "use", plural[j.Usage])
}
