package diagnose

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"slices"
	"strconv"
	"strings"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/quote"
)

// A Handshake is what is known of a handshake of TLS with the other side when it fails, or
// when the connection fails after it.
type Handshake struct {
	Side    string // Peer, Target or Server
	Config  *tls.Config
	Trusted []*x509.Certificate // by Config, as far as known
	Limit   string              // how long it may take, in words

	Hello  *tls.ClientHelloInfo // the peer's, during the handshake; nil for a target
	Shown  *tls.Certificate     // to a target that asked for one
	Unsent *Diagnosis           // why a target that asked for a certificate got none

	// Of the bytes: what the other side sent first, and how many it was sent before that.
	First    []byte
	Received bool // anything at all
	Sent     int
}

func (h *Handshake) new(code string, values ...string) Diagnosis {
	return New(code, append(values, "side", h.Side)...)
}

// Explain says what err, from crypto/tls, means.
func (h *Handshake) Explain(err error) Diagnosis {
	var plain tls.RecordHeaderError
	var remote *net.OpError
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return h.new("*.handshake_timeout", "limit", h.Limit, "more", h.largeHello())
	case IsGone(err) && h.Side == Peer:
		return h.new("*.left_handshake", "more", h.byItsFile())
	case IsGone(err):
		return h.new("*.left_handshake", "more", h.largeHello())
	case errors.As(err, &plain) && (plain.Conn != nil || plain.RecordHeader[0] == 0x80): // not one amid others
		return h.notTLS(plain.RecordHeader[:])
	case errors.As(err, &remote) && remote.Op == "remote error":
		return h.alert(remote.Err)
	}
	if d, ok := h.refused(err); ok {
		return d
	}
	return h.byText(err)
}

func (h *Handshake) notTLS(start []byte) Diagnosis {
	if bytes.HasPrefix(h.First, start) {
		start = h.First
	}
	return h.plain(describePlain(start))
}

func (h *Handshake) plain(found string) Diagnosis {
	if h.Side == Server { // there is no config of which a key could be wrong
		return h.new("target.plain", "found", found)
	}
	return h.new("*.not_tls", "found", found)
}

// refused is for a certificate, or a handshake, that we refused.
func (h *Handshake) refused(err error) (d Diagnosis, ok bool) {
	var untrusted *tls.CertificateVerificationError
	var refusal *Refusal
	switch {
	case errors.As(err, &untrusted):
		return h.untrusted(untrusted), true
	case errors.As(err, &refusal):
		return refusal.Of(h.Side), true
	}
	return d, false
}

// byText is for what crypto/tls has no other way to tell apart.
func (h *Handshake) byText(err error) Diagnosis {
	says := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case Declines(err), says(textNewHello):
		return h.new("*.renegotiates")
	case says(textUnreadable, textUnreadable2):
		return h.new("*.unreadable_certificate", "why", chain.Unreadable(nil, err))
	case says(textOtherKey, textOtherKey2, textLargeKey):
		return h.new("*.unsupported_key")
	case says(textNoCertificate):
		return h.new("peer.no_certificate")
	case says(textVersions, textVersion):
		return h.new("*.old_version")
	case says(textInCommon, textSchemes):
		return h.nothingInCommon(err.Error())
	case says(textNoSchemes):
		return h.new("*.sha1_alone")
	case says(textALPN):
		return h.new("*.no_protocol_offered")
	case says(textDecoding) && h.Side == Peer && endsWithDot(h.First):
		return h.new("peer.name_with_dot", "name", strconv.Quote(quote.Clip(serverNameOf(h.First), 253)))
	case says(textEcho):
		return h.plain("it sends back what it gets")
	}
	return h.new("*.tls_failed")
}

// Declines reports whether err is that our client has declined a renegotiation.
func Declines(err error) bool { return strings.Contains(err.Error(), textDeclines) }

// What crypto/tls says, in parts. TestTextsOfCryptoTLS is for the day when a new Go says
// something else.
const (
	textUnreadable    = "failed to parse certificate from"
	textUnreadable2   = "failed to parse client certificate"
	textOtherKey      = "contains an unsupported public key"         // of a client
	textOtherKey2     = "contains an unsupported type of public key" // of a server
	textLargeKey      = "sent certificate containing RSA key larger than"
	textNoCertificate = "didn't provide a certificate"
	textVersions      = "unsupported versions"
	textVersion       = "unsupported protocol version"
	textInCommon      = "supported by both client and server"
	textOffered       = "client offered: [" // suites, in hexadecimal
	textNoSchemes     = "missing signature_algorithms"
	textSchemes       = "any of the certificate's signature algorithms"
	textALPN          = "application protocol"
	textDecoding      = "error decoding message"
	textDeclines      = "tls: no renegotiation"                                             // of a client
	textNewHello      = "of type *tls.clientHelloMsg when waiting for *tls.helloRequestMsg" // of a server
	textEcho          = "of type *tls.clientHelloMsg when waiting for *tls.serverHelloMsg"
)

// largeHello goes on after the reason of a handshake that failed: some firewalls and old
// servers lose or refuse a ClientHello that doesn't fit into one packet. It is "" if
// that can't be why.
func (h *Handshake) largeHello() string {
	const packet = 1400 // bytes, less what IP, TCP and a VPN may add
	if h.Sent <= packet || h.Received && !IsAlert(h.First) {
		return ""
	}
	return quote.Fill(largeHello, "bytes", strconv.Itoa(h.Sent))
}
