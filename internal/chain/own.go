package chain

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"tlstunnel/internal/date"
)

// An Own is a chain in a certificate file of ours, which tlstunnel sends.
type Own struct {
	Chain []*x509.Certificate // the leaf first
	Usage x509.ExtKeyUsage    // the use for which it is sent
	Now   time.Time
}

// Faults returns the reasons why peers would refuse the chain, except that they may not trust
// its CA. Faults of the leaf come first.
func (o Own) Faults() (faults []*Fault) {
	if fault := wrongUse(o.Chain[0], o.Usage); fault != nil {
		faults = append(faults, fault)
	}
	if fault, ok := errors.AsType[*Fault](FalseSigner(o.Chain)); ok {
		faults = append(faults, fault)
	}
	ordered, others := Order(o.Chain, 0)
	for i, cert := range ordered {
		switch with := Refused(cert); {
		case with != "" && !selfIssued(cert): // no peer checks the signature of a root
			faults = append(faults, newFault("own_old_signature", "cert", subject(cert), "with", with))
		case i > 0 && o.isOutOfDate(cert) && !o.isReplaced(cert):
			faults = append(faults, o.outOfDate(cert))
		case i > 0:
			if fault := wrongUse(cert, o.Usage); fault != nil && !selfIssued(cert) { // nor its usage
				faults = append(faults, fault)
			}
		}
	}
	top := ordered[len(ordered)-1]
	if slices.ContainsFunc(others, func(ca *x509.Certificate) bool { return bytes.Equal(ca.RawSubject, top.RawIssuer) }) && !selfIssued(top) {
		faults = append(faults, newFault("own_stale_intermediate", "issuer", issuer(top), "cert", subject(top)))
	}
	return faults
}

// Missing returns a fault if the chain ends before a public root, otherwise nil. It is no fault
// if the peers have the issuer, for example a private CA.
func (o Own) Missing() *Fault {
	ordered, _ := Order(o.Chain, 0)
	top := ordered[len(ordered)-1]
	if selfIssued(top) {
		return nil
	}
	_, err := top.Verify(x509.VerifyOptions{CurrentTime: o.Now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if !errors.As(err, new(x509.UnknownAuthorityError)) {
		return nil
	}
	return newFault("own_missing_intermediate", "cert", subject(top), "issuer", issuer(top))
}

func (o Own) isOutOfDate(cert *x509.Certificate) bool {
	return o.Now.Before(cert.NotBefore) || o.Now.After(cert.NotAfter)
}

// isReplaced reports whether a valid certificate of the same CA is in the chain too:
// it is cross-signed.
func (o Own) isReplaced(cert *x509.Certificate) bool {
	return slices.ContainsFunc(o.Chain, func(c *x509.Certificate) bool {
		return c != cert && slices.Equal(c.RawSubject, cert.RawSubject) && !o.isOutOfDate(c)
	})
}

// OutOfDate returns a fault if the leaf isn't valid now, otherwise nil. It isn't among the
// Faults, because a good certificate gets it by time alone.
func (o Own) OutOfDate() *Fault {
	if !o.isOutOfDate(o.Chain[0]) {
		return nil
	}
	return o.outOfDate(o.Chain[0])
}

func (o Own) outOfDate(cert *x509.Certificate) *Fault {
	code := "own_expired_intermediate"
	switch {
	case o.Now.Before(cert.NotBefore):
		code = "own_not_yet_valid"
	case cert == o.Chain[0]:
		code = "own_expired"
	}
	return newFault(code, "cert", subject(cert), "from", date.Time(cert.NotBefore), "to", date.Time(cert.NotAfter), "now", date.Time(o.Now))
}
