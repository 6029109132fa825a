// Package strength decides which public keys are strong enough. The rule is the same for our
// certificates and those of peers, for CAs, requests and pinned keys. The package also has the
// accepted cipher suites.
//
//	if err := strength.Check(cert.PublicKey); err != nil {
//		return fmt.Errorf("certificate %q has %w", file, err)
//	}
package strength

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"
)

const (
	minRSABits   = 2048 // what the CA/Browser Forum and NIST SP 800-131A demand
	maxRSABits   = 8192 // the limit of crypto/tls for a peer; a million bits would keep us busy for minutes
	minCurveBits = 256
)

// Check returns an error if no certificate should have this public key. The error continues a
// sentence after "has".
func Check(public any) error {
	switch key := public.(type) {
	case *rsa.PublicKey:
		if bits := key.N.BitLen(); bits < minRSABits {
			return fmt.Errorf("a weak key, RSA with %d bits: one with at least %d is needed", bits, minRSABits)
		}
		return CheckSize(public)
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

// CheckSize is Check for keys that are only shown: it returns an error if a key would keep us
// busy for too long.
func CheckSize(public any) error {
	if key, ok := public.(*rsa.PublicKey); ok && key.N.BitLen() > maxRSABits {
		return fmt.Errorf("a key too large for TLS, RSA with %d bits: one with at most %d is needed", key.N.BitLen(), maxRSABits)
	}
	return nil
}
