package tunnel

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/dn"
)

// Pin makes the config of a client accept only servers with one of the pinned keys. A pin is
// "sha256:" and the SHA-256, in base64, of a public key as it is in a certificate
// (SubjectPublicKeyInfo, as in RFC 7469).
//
// With RootCAs, certificate and name are verified as usual, and one certificate of the verified
// chain, the CA included, must have a pinned key. Without RootCAs, the server's own key must be
// pinned, and nothing else is checked: neither the signature of the certificate nor its names
// and dates. Each full handshake proves that the server has the private key.
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
		return notPinned([]*x509.Certificate{leaf}, pins)
	}
	for _, chain := range state.VerifiedChains {
		if slices.ContainsFunc(chain, func(c *x509.Certificate) bool { return slices.Contains(pins, pinOf(c)) }) {
			return nil
		}
	}
	return notPinned(state.VerifiedChains[0], pins)
}

func pinOf(cert *x509.Certificate) string { return pinText(cert.RawSubjectPublicKeyInfo) }

func pinText(der []byte) string {
	sum := sha256.Sum256(der)
	return "sha256:" + base64.StdEncoding.EncodeToString(sum[:])
}

// notPinned says that none of the certificates (the leaf, or a verified chain) has a pinned key.
func notPinned(certs []*x509.Certificate, pins []string) error {
	leaf, all := certs[0], strings.Join(pins, ", ")
	refusal := &diagnose.Refusal{Text: "no pinned key: the server has " + pinOf(leaf)}
	for _, cert := range certs {
		if slices.Contains(pins, pinText(cert.Raw)) {
			refusal.Code, refusal.Values = "*.pin_of_certificate", []string{"subject", strconv.Quote(dn.Text(cert.Subject)), "pin", pinOf(cert)}
			return refusal
		}
	}
	if len(certs) == 1 {
		refusal.Code, refusal.Values = "*.other_key", []string{"key", pinOf(leaf), "pins", all}
		return refusal
	}
	var keys []string
	for _, cert := range certs {
		keys = append(keys, fmt.Sprintf("%s of %q", pinOf(cert), dn.Text(cert.Subject)))
	}
	refusal.Code, refusal.Values = "*.other_keys", []string{"keys", strings.Join(keys, ", "), "pins", all}
	return refusal
}
