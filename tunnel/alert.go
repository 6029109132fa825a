package tunnel

import (
	"crypto/tls"
	"slices"
	"time"

	"tlstunnel/internal/chain"
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

// explainAlert says what the other side meant by the alert with which it ended TLS.
func (t *terms) explainAlert(alert error) string {
	is := func(codes ...tls.AlertError) bool { return isOneOf(alert, codes...) }
	switch {
	case t.unsent != "" && is(alertCertRequired, alertHandshakeFailure, alertBadCertificate, alertUnsupportedCert, alertCertUnknown, alertUnknownCA, alertAccessDenied):
		return "the target wants a client certificate" + t.unsent
	case is(alertCertRequired):
		return "the " + t.who + " wants a client certificate: set cert and key"
	case is(alertUnknownCA, alertBadCertificate, alertUnsupportedCert, alertCertUnknown, alertCertExpired, alertCertRevoked):
		return t.explainRefusal(is)
	case is(alertAccessDenied):
		return "the " + t.who + " refused tlstunnel's certificate: it is valid, but has no access there"
	case is(alertHandshakeFailure):
		return "the " + t.who + " found no TLS parameters in common, or wants a client certificate (cert and key)" + t.orUncommon()
	case is(alertProtocolVersion):
		return "the " + t.who + " speaks no version of TLS that this tunnel's profile allows"
	case is(alertUnrecognizedName):
		return "the " + t.who + " doesn't know the name that it was asked for: check server_name"
	case is(alertNoALPN):
		return "the " + t.who + " speaks none of the protocols in alpn"
	default:
		return "the " + t.who + " ended TLS with an alert; its own log knows why"
	}
}

// explainRefusal says why the other side refused our certificate. What our own file
// shows comes before any guess.
func (t *terms) explainRefusal(is func(...tls.AlertError) bool) string {
	refused := "the " + t.who + " refused tlstunnel's certificate: "
	if fault := t.ourFault(); fault != nil {
		return refused + fault.Error()
	}
	switch {
	case is(alertUnknownCA):
		return refused + "it doesn't trust " + t.ourSigner() + "; give it that CA's certificate" + t.orAddIssuer()
	case is(alertCertExpired):
		return refused + "it takes it for expired; compare the clocks"
	case is(alertCertRevoked):
		return refused + "it takes it for revoked"
	default:
		return refused + "perhaps it doesn't trust " + t.ourSigner() + ", or expects another name; its own log knows"
	}
}

// orAddIssuer goes on after the remedy that the other side must trust the CA of our
// certificate.
func (t *terms) orAddIssuer() string {
	if ours := t.ours(); len(ours) == 0 || (chain.Own{Chain: ours, Now: time.Now()}).Missing() == nil {
		return ""
	}
	return ", or, if it has the CA above that one, add it to the file of cert here"
}
