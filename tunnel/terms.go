package tunnel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
)

// terms are what is known of a handshake with the other side, for the reason why it
// failed. It travels in the handshake's context, under termsKey{}.
type terms struct {
	who     string // the other side: byPeer or byTarget
	config  *tls.Config
	trusted []*x509.Certificate // by config, as far as known

	hello  *tls.ClientHelloInfo // the peer's, during the handshake; nil for a target
	shown  *tls.Certificate     // to a target that asked for one
	unsent string               // why a target that asked for a certificate got none; see whyUnsent
}

type termsKey struct{}

func termsOf(ctx context.Context) *terms { return ctx.Value(termsKey{}).(*terms) }

// judge verifies what the other side shows as crypto/tls does.
func (t *terms) judge() chain.Judge {
	j := chain.Judge{
		Roots: t.config.RootCAs, Trusted: t.trusted, Usage: x509.ExtKeyUsageServerAuth, Now: time.Now(),
		Whose: "the " + t.who, List: "ca of this tunnel",
	}
	if t.who == byPeer {
		j.Roots, j.Usage, j.List = t.config.ClientCAs, x509.ExtKeyUsageClientAuth, "client_ca of this tunnel"
	}
	return j
}

// noteHello is for crypto/tls to call when a ClientHello is complete. It gives out what
// front does now.
func noteHello(front *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	get := front.GetConfigForClient
	return func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		termsOf(hello.Context()).hello = hello
		config := (*tls.Config)(nil) // front
		if get != nil {
			var err error
			if config, err = get(hello); err != nil {
				return nil, err
			}
		}
		if hasMark(hello.Conn.(*wire).first) {
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
		if t, ok := asked.Context().Value(termsKey{}).(*terms); ok {
			if t.shown = cert; len(cert.Certificate) == 0 {
				t.unsent = whyUnsent(asked, config)
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

// whyUnsent goes on after "the target wants a client certificate".
func whyUnsent(asked *tls.CertificateRequestInfo, config *tls.Config) string {
	if len(config.Certificates) == 0 {
		return ": set cert and key"
	}
	ours := parseChain(config.Certificates[0])
	isWanted := func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(asked.AcceptableCAs, func(ca []byte) bool { return bytes.Equal(ca, cert.RawIssuer) })
	}
	if len(asked.AcceptableCAs) > 0 && !slices.ContainsFunc(ours, isWanted) {
		return fmt.Sprintf(" from one of its CAs, %s; ours is from %s, so it wasn't sent: set cert and key to one that one of those issued, or have the target accept that CA",
			quoteCAs(asked.AcceptableCAs), chain.Signer(ours))
	}
	return fmt.Sprintf(", but doesn't take one with %s key, as ours is, so it wasn't sent: set cert and key to one with %s key",
		withArticle(kindOf(ours[0].PublicKey)), withArticle(strings.Join(kindsOfSchemes(asked.SignatureSchemes, asked.Version == tls.VersionTLS13), " or ")))
}

// quoteCAs lists the names that a server sent, five at the most.
func quoteCAs(names [][]byte) string {
	var all []string
	for _, der := range names {
		var sequence pkix.RDNSequence
		var name pkix.Name
		if _, err := asn1.Unmarshal(der, &sequence); err == nil {
			name.FillFromRDNSequence(&sequence)
		}
		all = append(all, fmt.Sprintf("%q", clipTo(dn.Text(name), 100)))
	}
	return listed(all, 5)
}

// ours is the chain that we show, as it stands in its file; nil if there is none.
func (t *terms) ours() []*x509.Certificate {
	shown := t.shown
	switch {
	case shown != nil:
	case len(t.config.Certificates) > 0:
		shown = &t.config.Certificates[0]
	case t.who == byPeer && t.config.GetCertificate != nil:
		shown, _ = t.config.GetCertificate(new(tls.ClientHelloInfo))
	}
	if shown == nil {
		return nil
	}
	return parseChain(*shown)
}

func parseChain(pair tls.Certificate) (certs []*x509.Certificate) {
	for _, der := range pair.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}

// ourFault is what the file of our own certificate shows to be wrong with it, or nil.
func (t *terms) ourFault() *chain.Fault {
	own := chain.Own{Chain: t.ours(), Usage: x509.ExtKeyUsageServerAuth, Now: time.Now()}
	if t.who == byTarget {
		own.Usage = x509.ExtKeyUsageClientAuth
	}
	if len(own.Chain) == 0 {
		return nil
	}
	if faults := own.Faults(); len(faults) > 0 {
		return faults[0]
	}
	return own.OutOfDate()
}

// byItsFile goes on after the guess that the other side doesn't trust our certificate.
func (t *terms) byItsFile() string {
	if fault := t.ourFault(); fault != nil {
		return ", and of ours, " + fault.Error()
	}
	return ""
}

// ourSigner names the CA of the certificate that we showed.
func (t *terms) ourSigner() string {
	if ours := t.ours(); len(ours) > 0 {
		return chain.Signer(ours)
	}
	return "its CA"
}
