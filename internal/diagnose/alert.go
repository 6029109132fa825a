package diagnose

import (
	"crypto/tls"
	"slices"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/strength"
)

// The alerts of RFC 8446, section 6, that we have more to say about.
const (
	alertRecordOverflow   tls.AlertError = 22
	alertHandshakeFailure tls.AlertError = 40
	alertBadCertificate   tls.AlertError = 42
	alertUnsupportedCert  tls.AlertError = 43
	alertCertRevoked      tls.AlertError = 44
	alertCertExpired      tls.AlertError = 45
	alertCertUnknown      tls.AlertError = 46
	alertIllegalParameter tls.AlertError = 47
	alertUnknownCA        tls.AlertError = 48
	alertAccessDenied     tls.AlertError = 49
	alertDecodeError      tls.AlertError = 50
	alertProtocolVersion  tls.AlertError = 70
	alertInternalError    tls.AlertError = 80
	alertUnrecognizedName tls.AlertError = 112
	alertCertRequired     tls.AlertError = 116
	alertNoALPN           tls.AlertError = 120
)

// isOneOf reports whether alert, of crypto/tls, is one of those.
func isOneOf(alert error, codes ...tls.AlertError) bool {
	return slices.ContainsFunc(codes, func(code tls.AlertError) bool { return alert.Error() == code.Error() })
}

// alert says what the other side meant by the alert with which it ended TLS.
func (h *Handshake) alert(alert error) Diagnosis {
	is := func(codes ...tls.AlertError) bool { return isOneOf(alert, codes...) }
	switch {
	case h.Unsent != nil && is(alertCertRequired, alertHandshakeFailure, alertBadCertificate, alertUnsupportedCert, alertCertUnknown, alertUnknownCA, alertAccessDenied):
		return *h.Unsent
	case is(alertCertRequired):
		return h.new("*.wants_certificate")
	case is(alertUnknownCA, alertBadCertificate, alertUnsupportedCert, alertCertUnknown, alertCertExpired, alertCertRevoked):
		return h.refusesOurs(is)
	case is(alertAccessDenied):
		return h.new("*.denies_access")
	case is(alertHandshakeFailure):
		return h.new("*.nothing_in_common_there", "more", h.orUncommon())
	case is(alertProtocolVersion):
		return h.new("*.no_version_in_common")
	case is(alertUnrecognizedName):
		return h.new("*.unknown_name")
	case is(alertNoALPN):
		return h.new("*.no_protocol_in_common")
	case is(alertInternalError, alertDecodeError, alertIllegalParameter, alertRecordOverflow) && h.Side != Peer:
		return h.new("*.alert", "more", h.largeHello())
	default:
		return h.new("*.alert", "more", "")
	}
}

// orUncommon is what else it may be if the other side found nothing in common. It doesn't
// say.
func (h *Handshake) orUncommon() string {
	text := ""
	if slices.Equal(h.Config.CipherSuites, strength.Suites) {
		text = "; if it is old and can't be updated, set profile = \"legacy\""
	}
	if h.Side != Peer {
		text += "; perhaps its certificate has a key that Go doesn't know, as those on brainpool curves"
	}
	return text
}

// refusesOurs says why the other side refused our certificate. What our own file shows
// comes before any guess.
func (h *Handshake) refusesOurs(is func(...tls.AlertError) bool) Diagnosis {
	switch fault := h.ourFault(); {
	case fault != nil:
		return h.new("*.refuses_ours", "fault", fault.Error())
	case is(alertUnknownCA):
		return h.new("*.distrusts_our_ca", "ca", h.ourSigner(), "more", h.orAddIssuer())
	case is(alertCertExpired):
		return h.new("*.takes_ours_for_expired")
	case is(alertCertRevoked):
		return h.new("*.takes_ours_for_revoked")
	default:
		return h.new("*.refuses_ours_silently", "ca", h.ourSigner())
	}
}

// orAddIssuer goes on after the remedy that the other side must trust the CA of our
// certificate.
func (h *Handshake) orAddIssuer() string {
	if ours := h.ours(); len(ours) == 0 || (chain.Own{Chain: ours, Now: time.Now()}).Missing() == nil {
		return ""
	}
	return ", or, if it has the CA above that one, add it to the file of cert here"
}
