package tunnel

import (
	"cmp"
	"crypto/tls"

	"tlstunnel/internal/diagnose"
)

// The callbacks of crypto/tls note facts that may explain why a handshake failed. They find the
// side in the handshake's context, under sideKey{}.
type sideKey struct{}

// noteHello returns a GetConfigForClient, which crypto/tls calls when a ClientHello is complete.
// It notes the hello, and returns the config that front would return.
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

// noteRequest makes a client's config note which certificate it presents if a server asks for
// one. If the server accepts none of ours, crypto/tls sends none and reports nothing.
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

// certificateFor chooses a certificate as crypto/tls does.
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
