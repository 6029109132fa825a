package tunnel

import (
	"crypto/tls"
	"crypto/x509"
)

// explainAlert says what the other side meant by the alert (RFC 8446, section 6)
// with which it ended TLS.
func explainAlert(who string, config *tls.Config, alert error) string {
	const (
		handshakeFailure = 40
		badCertificate   = 42
		certRevoked      = 44
		certExpired      = 45
		certUnknown      = 46
		unknownCA        = 48
		accessDenied     = 49
		protocolVersion  = 70
		unrecognizedName = 112
		certRequired     = 116
		noALPN           = 120
	)
	is := func(code uint8) bool { return alert.Error() == tls.AlertError(code).Error() }
	refused := "the " + who + " refused tlstunnel's certificate"
	switch {
	case is(unknownCA):
		return refused + ": it doesn't trust " + ourSigner(config) + "; give it that CA's certificate"
	case is(badCertificate), is(certUnknown):
		return refused + ": perhaps it doesn't trust " + ourSigner(config) + ", or expects another name; its own log knows"
	case is(certExpired):
		return refused + ": it takes it for expired; compare the clocks"
	case is(certRevoked):
		return refused + ": it takes it for revoked"
	case is(accessDenied):
		return refused + ": it is valid, but has no access there"
	case is(certRequired):
		return "the " + who + " wants a client certificate: set cert and key"
	case is(handshakeFailure):
		return "the " + who + " found no TLS parameters in common, or wants a client certificate (cert and key)" + orLegacy(config)
	case is(protocolVersion):
		return "the " + who + " speaks no version of TLS that this tunnel's profile allows"
	case is(unrecognizedName):
		return "the " + who + " doesn't know the name that it was asked for: check server_name"
	case is(noALPN):
		return "the " + who + " speaks none of the protocols in alpn"
	default:
		return "the " + who + " ended TLS with an alert; its own log knows why"
	}
}

// ourSigner names the CA of the certificate that we showed.
func ourSigner(config *tls.Config) string {
	var shown *tls.Certificate
	switch {
	case len(config.Certificates) > 0:
		shown = &config.Certificates[0]
	case config.GetCertificate != nil:
		shown, _ = config.GetCertificate(new(tls.ClientHelloInfo))
	case config.GetClientCertificate != nil:
		shown, _ = config.GetClientCertificate(new(tls.CertificateRequestInfo))
	}
	if shown == nil {
		return "its CA"
	}
	var chain []*x509.Certificate
	for _, der := range shown.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, cert)
		}
	}
	if len(chain) == 0 {
		return "its CA"
	}
	return signer(chain)
}
