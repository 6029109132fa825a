//go:build !linux && !windows

package installer

import (
	"crypto/x509"
	"errors"
)

var errNoTrustStore = errors.New("tlstunnel doesn't know this system's store of trusted CAs: add ca.crt to it by the system's own means")

func trustSteps([]*x509.Certificate) ([]Step, error)   { return nil, errNoTrustStore }
func untrustSteps([]*x509.Certificate) ([]Step, error) { return nil, errNoTrustStore }
