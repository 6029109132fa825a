package chain

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
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
			faults = append(faults, &Fault{fmt.Sprintf("%s is signed with %s, which others refuse", subject(cert), with), "have it issued anew, with SHA-256 or better"})
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
		faults = append(faults, &Fault{fmt.Sprintf("the certificate of %s in the chain has another key than the one that signed %s, as from before a renewal", issuer(top), subject(top)),
			"get the present chain from the CA"})
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
	return &Fault{
		fmt.Sprintf("the chain ends with %s, and its issuer %s isn't in it", subject(top), issuer(top)),
		"unless that is a root that the other side has, an intermediate certificate is missing, which the CA offers as chain or bundle",
	}
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
	fault := o.outOfDate(o.Chain[0])
	if o.Now.After(o.Chain[0].NotAfter) {
		fault.Remedy = "renew it"
	}
	return fault
}

func (o Own) outOfDate(cert *x509.Certificate) *Fault {
	if o.Now.Before(cert.NotBefore) {
		return &Fault{fmt.Sprintf("%s isn't valid before %s, and the clock says %s", subject(cert), date.Time(cert.NotBefore), date.Time(o.Now)),
			"check the clock of this machine"}
	}
	return &Fault{fmt.Sprintf("%s expired on %s", subject(cert), date.Time(cert.NotAfter)), "get the present chain from the CA"}
}
