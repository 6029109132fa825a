package tunnel

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"

	"tlstunnel/internal/dn"
)

// Pin makes config, that of a client, take only servers with one of the pinned
// keys. A pin is "sha256:" and the SHA-256, in base64, of a public key as it
// stands in a certificate (SubjectPublicKeyInfo, as in RFC 7469).
//
// With RootCAs set, certificate and name are verified as ever, and one
// certificate of the verified chain, the CA included, must have a pinned key.
// Without, the server's own key must be a pinned one, and is all that counts: who
// has signed the certificate, its names and its dates aren't looked at. That the
// server has the private key is proved by each handshake, or by the one that a
// resumed session began with.
func Pin(config *tls.Config, pins []string) {
	config.InsecureSkipVerify = config.RootCAs == nil
	config.VerifyConnection = func(state tls.ConnectionState) error {
		return verifyPins(state, pins)
	}
}

func verifyPins(state tls.ConnectionState, pins []string) error {
	leaf := state.PeerCertificates[0]
	if len(state.VerifiedChains) == 0 {
		if slices.Contains(pins, pinOf(leaf)) {
			return nil // if it is strong, see verifyStrength
		}
		return &pinError{chain: []*x509.Certificate{leaf}, pins: pins}
	}
	for _, chain := range state.VerifiedChains {
		if slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return slices.Contains(pins, pinOf(c)) }) {
			return nil
		}
	}
	return &pinError{chain: state.VerifiedChains[0], pins: pins}
}

func pinOf(cert *x509.Certificate) string { return pinText(cert.RawSubjectPublicKeyInfo) }

func pinText(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + base64.StdEncoding.EncodeToString(sum[:])
}

// pinError is that a server hasn't a key that is pinned.
type pinError struct {
	chain []*x509.Certificate // where one was looked for: the leaf, or a verified chain
	pins  []string
}

func (e *pinError) Error() string { return "no pinned key: the server has " + pinOf(e.chain[0]) }

// explain says what is wrong, and what would be right.
func (e *pinError) explain() string {
	leaf := e.chain[0]
	for _, cert := range e.chain {
		if slices.Contains(e.pins, pinText(cert.Raw)) {
			return fmt.Sprintf("pins has the fingerprint of the whole certificate %q, but must have that of its key: write %s", dn.Text(cert.Subject), pinOf(cert))
		}
	}
	if len(e.chain) == 1 {
		return fmt.Sprintf("its key is %s, which isn't pinned: either it has a new key or this is another machine; if its administrator confirms this key, by phone say, write it in pins, which has %s",
			pinOf(leaf), strings.Join(e.pins, ", "))
	}
	var keys []string
	for _, cert := range e.chain {
		keys = append(keys, fmt.Sprintf("%s of %q", pinOf(cert), dn.Text(cert.Subject)))
	}
	return fmt.Sprintf("its CA is trusted, but no key in its chain is pinned: it has %s; if its administrator confirms one of them, by phone say, write that in pins, which has %s",
		strings.Join(keys, ", "), strings.Join(e.pins, ", "))
}
