package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"

	"tlstunnel/internal/dn"
	"tlstunnel/internal/strength"
)

// weakError is that a certificate, or a CA above it, has a key that proves nothing.
type weakError struct {
	cert *x509.Certificate
	why  error
}

func (e *weakError) Error() string {
	return fmt.Sprintf("%q has %v", dn.Text(e.cert.Subject), e.why)
}

// demandStrength makes config, of either side, refuse weak keys. Of what is verified
// otherwise, crypto/tls takes RSA from 1,024 bits.
func demandStrength(config *tls.Config) {
	verify := config.VerifyConnection
	config.VerifyConnection = func(state tls.ConnectionState) error {
		if verify != nil {
			if err := verify(state); err != nil {
				return err
			}
		}
		return verifyStrength(state)
	}
}

// verifyStrength wants one chain whose keys are all strong.
func verifyStrength(state tls.ConnectionState) (err error) {
	chains := state.VerifiedChains
	if len(chains) == 0 && len(state.PeerCertificates) > 0 {
		chains = [][]*x509.Certificate{state.PeerCertificates[:1]} // the pinned one: nobody vouches for it
	}
	for _, chain := range chains {
		if err = strengthOf(chain); err == nil {
			return nil
		}
	}
	return err
}

func strengthOf(chain []*x509.Certificate) error {
	for _, cert := range chain {
		if err := strength.Check(cert.PublicKey); err != nil {
			return &weakError{cert, err}
		}
	}
	return nil
}
