package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"strconv"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/strength"
)

// demandStrength makes config, of either side, refuse weak keys. By itself crypto/tls accepts
// RSA keys from 1,024 bits.
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

// verifyStrength returns an error unless one chain has strong keys only.
func verifyStrength(state tls.ConnectionState) (err error) {
	chains := state.VerifiedChains
	if len(chains) == 0 && len(state.PeerCertificates) > 0 {
		chains = [][]*x509.Certificate{state.PeerCertificates[:1]} // the pinned certificate, which has no verified chain
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
			subject := strconv.Quote(dn.Text(cert.Subject))
			return &diagnose.Refusal{Code: "*.weak_key", Values: []string{"subject", subject, "weakness", err.Error()}, Text: subject + " has " + err.Error()}
		}
	}
	return nil
}
