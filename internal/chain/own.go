package chain

import (
	"bytes"
	"crypto/x509"
	"errors"
	"slices"
	"time"

	"tlstunnel/internal/date"
)

// An Own is the chain that a program of ours sends, as it stands in a file.
type Own struct {
	Chain []*x509.Certificate // the leaf first
	Usage x509.ExtKeyUsage    // what it is shown for
	Now   time.Time
}

// Faults are why others would refuse it, as far as it shows without knowing whom they
// trust. What is wrong with the leaf comes first.
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
		case with != "" && !selfIssued(cert): // nobody looks at how a root is signed
			faults = append(faults, newFault("own_old_signature", "cert", subject(cert), "with", with))
		case i > 0 && o.isOutOfDate(cert) && !o.isReplaced(cert):
			faults = append(faults, o.outOfDate(cert))
		case i > 0:
			if fault := wrongUse(cert, o.Usage); fault != nil && !selfIssued(cert) { // nor for what
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

// Missing is that the chain ends before a root that everybody has, or nil. That is no
// fault if the others have its issuer, as with a CA of one's own.
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

// OutOfDate is that the leaf isn't valid now, or nil. It isn't among the Faults: time
// alone brings it about.
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
