package pki

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

const (
	minRSABits   = 2048 // what the CA/Browser Forum and NIST SP 800-131A demand
	maxRSABits   = 8192 // what crypto/tls takes of a peer; a million would keep us busy for minutes
	minCurveBits = 256

	dateLayout = "2006-01-02 15:04:05 UTC"
)

// checkValidity says in one sentence what is wrong with the dates of a
// certificate. The remedy is for one that has expired.
func checkValidity(file string, cert *x509.Certificate, now time.Time, remedy string) error {
	switch {
	case now.Before(cert.NotBefore):
		return fmt.Errorf("certificate %q isn't valid before %s, and the clock says %s: check the clock of this machine", file, date(cert.NotBefore), date(now))
	case now.After(cert.NotAfter):
		return fmt.Errorf("certificate %q expired on %s: %s", file, date(cert.NotAfter), remedy)
	}
	return nil
}

func checkStrength(file string, cert *x509.Certificate) error {
	if err := checkKey(cert.PublicKey); err != nil {
		return fmt.Errorf("certificate %q has %w", file, err)
	}
	switch cert.SignatureAlgorithm {
	case x509.MD2WithRSA, x509.MD5WithRSA, x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Errorf("certificate %q has a weak signature, %s: one signed with SHA-256 or better is needed", file, cert.SignatureAlgorithm)
	}
	return nil
}

// checkKey says why no certificate should have the public key. The error goes on
// after "has".
func checkKey(public any) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		switch bits := key.N.BitLen(); {
		case bits < minRSABits:
			return fmt.Errorf("a weak key, RSA with %d bits: one with at least %d is needed", bits, minRSABits)
		case bits > maxRSABits:
			return fmt.Errorf("a key too large for TLS, RSA with %d bits: one with at most %d is needed", bits, maxRSABits)
		}
	case *ecdsa.PublicKey:
		if params := key.Curve.Params(); params.BitSize < minCurveBits {
			return fmt.Errorf("a weak key, ECDSA %s: P-256 or better is needed", params.Name)
		}
	case ed25519.PublicKey:
	default:
		return errors.New("a key of an unknown kind: an RSA, ECDSA or Ed25519 key is needed")
	}
	return nil
}

func date(t time.Time) string {
	return t.UTC().Format(dateLayout)
}
