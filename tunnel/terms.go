package tunnel

import (
	"cmp"
	"crypto/tls"

	"tlstunnel/internal/diagnose"
)

// A handshake's context has the side under sideKey{}. The callbacks note there what may
// explain why the handshake failed.
type sideKey struct{}

// noteHello is for crypto/tls to call when a ClientHello is complete. It gives out what
// front does now.
func noteHello(front *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	get := front.GetConfigForClient
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		s := hello.Context().Value(sideKey{}).(*side)
		s.terms.Hello = hello
		config := (*tls.Config)(nil) // front
		if get != nil {
			var err error
			if config, err = get(hello); err != nil {
				return nil, err
			}
		}
		if hasMark(s.tls.First()) {
			config = answerMark(cmp.Or(config, front))
		}
		return config, nil
	}
}

// noteRequest makes a client's config note in the terms what it shows to a server that
// asks for a certificate. If none of ours is one that the server takes, crypto/tls sends
// none, and says nothing.
func noteRequest(config *tls.Config) *tls.Config {
	noting := config.Clone()
	noting.GetClientCertificate = func(asked *tls.CertificateRequestInfo) (*tls.Certificate, error) {
		cert, err := certificateFor(asked, config)
		if err != nil {
			return nil, err
		}
		// In a renegotiation crypto/tls asks again, without our context.
		if s, ok := asked.Context().Value(sideKey{}).(*side); ok {
			if s.terms.Shown = cert; len(cert.Certificate) == 0 {
				s.terms.Unsent = diagnose.Unsent(asked, config)
			}
		}
		return cert, nil
	}
	return noting
}

// certificateFor chooses as crypto/tls does.
func certificateFor(asked *tls.CertificateRequestInfo, config *tls.Config) (*tls.Certificate, error) {
	if config.GetClientCertificate != nil {
		return config.GetClientCertificate(asked)
	}
	for i := range config.Certificates {
		if asked.SupportsCertificate(&config.Certificates[i]) == nil {
			return &config.Certificates[i], nil
		}
	}
	return new(tls.Certificate), nil
}
