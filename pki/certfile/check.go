package certfile

import (
	"crypto/x509"
	"fmt"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/strength"
)

// CheckValidity says in one sentence what is wrong with the dates of a
// certificate. The remedy is for one that has expired, or that was made while the clock
// was ahead.
func CheckValidity(file string, cert *x509.Certificate, now time.Time, remedy string) error {
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Errorf("certificate %q isn't valid before %s, and the clock says %s: check the clock of this machine; if it is right, %s", file, date.Time(cert.NotBefore), date.Time(now), remedy)
	case now.After(cert.NotAfter):
		return fmt.Errorf("certificate %q expired on %s: %s", file, date.Time(cert.NotAfter), remedy)
	}
	return nil
}

// CheckStrength says in one sentence that the key or the signature of a certificate is too
// weak. The file is what the sentence names.
func CheckStrength(file string, cert *x509.Certificate) error {
	if err := strength.Check(cert.PublicKey); err != nil {
		return fmt.Errorf("certificate %q has %w", file, err)
	}
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Errorf("certificate %q has a weak signature, %s: one signed with SHA-256 or better is needed", file, cert.SignatureAlgorithm)
	}
	return nil
}
