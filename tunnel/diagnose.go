package tunnel

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"strings"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/diagnose"
)

// silentPeer is the code for a peer that never says a word, as health checks don't.
const silentPeer = "peer.silent"

// explainFront says why the accepted connection's handshake failed.
func explainFront(c *conn, err error) *ending {
	h := c.front.wire.handshake
	why := diagnose.New("peer.handshake_timeout")
	switch {
	case errors.Is(err, context.DeadlineExceeded) && !c.front.wire.received:
		why = diagnose.New(silentPeer)
	case errors.Is(err, context.DeadlineExceeded) && h.starved:
		why = diagnose.New("tlstunnel.no_turn")
	case errors.Is(err, context.DeadlineExceeded):
	case diagnose.IsGone(err) && h.flight.messages == 0:
		why = diagnose.New("peer.left")
	case diagnose.IsGone(err):
		why = diagnose.New("peer.left_handshake", "fault", c.front.terms.byItsFile())
	default:
		if alert, ok := c.front.wire.plainAlert(); ok {
			err = &net.OpError{Op: "remote error", Err: tls.AlertError(alert)}
		}
		end := &ending{handshakeFailed, diagnose.Diagnosis{Level: slog.LevelInfo, By: byPeer}, err}
		end.explainTLS(c.front, err)
		return end
	}
	return &ending{handshakeFailed, why, err}
}

// explainDial says why a target couldn't be connected to.
func explainDial(err error) *ending {
	return &ending{dialFailed, diagnose.Dial(byTarget, "connect_timeout", err), err}
}

// explainBack says why the TLS handshake with a target failed.
func explainBack(back *side, err error) *ending {
	end := &ending{dialFailed, diagnose.Diagnosis{Level: slog.LevelWarn, By: byTarget}, err}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		end.Diagnosis = diagnose.New("target.handshake_timeout", "side", byTarget, "limit", "handshake_timeout", "large", back.wire.bigHello())
	case diagnose.IsGone(err):
		end.Diagnosis = diagnose.New("target.left_handshake", "side", byTarget, "large", back.wire.bigHello())
	default:
		end.explainTLS(back, err)
	}
	return end
}

// bigHello goes on after the reason of a handshake that failed: some firewalls and old
// servers lose or refuse a ClientHello that doesn't fit into one packet. It is "" if
// that can't be why.
func (w *wire) bigHello() string {
	const packet = 1400 // bytes, less what IP, TCP and a VPN may add
	if w.sent <= packet || w.received && !isPlainAlert(w.first) {
		return ""
	}
	return fmt.Sprintf(" (some firewalls and old servers lose or refuse a first message as large as ours, %d bytes: try the environment variable GODEBUG=tlsmlkem=0, see docs/connections.md)", w.sent)
}

// explainRelay says why s failed while bytes were relayed.
func explainRelay(s *side, err error) *ending {
	code := "*.connection_failed"
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		code = "*.closed_in_record"
	case err == errCut && s.isTunnel:
		code = "*.cut_off"
	case err == errCut:
		code = "*.no_close_notify"
	case diagnose.IsGone(err):
		code = "*.reset"
	case errors.Is(err, errTimedOut), diagnose.IsTimeout(err):
		code = "*.vanished"
	case s.wire != nil:
		end := &ending{interrupted, diagnose.Diagnosis{Level: slog.LevelInfo, By: s.name}, err}
		end.explainTLS(s, err)
		return end
	}
	return &ending{interrupted, diagnose.New(code, "side", s.name), err}
}

// explainTarget says more of end if the program behind us hasn't understood what the
// peer's has sent, perhaps as it speaks TLS itself and got plain bytes.
func (r *relaying) explainTarget(end *ending) *ending {
	chained := r.back.wire != nil
	nested := isHello(r.up.start) // TLS within TLS is the business of both programs
	asked, silent := r.up.start != nil, r.down.start == nil
	left := end.outcome == interrupted && end.By == byTarget && diagnose.IsGone(end.err)
	switch {
	case end.By != byTunnel && isPlainAlert(r.down.start) && r.toFront.Load() <= 2*alertSize && !nested:
		end.Diagnosis = diagnose.SpeaksTLS(chained)
	case end.outcome == completed && r.finished == r.back && asked && silent && !nested:
		end.Diagnosis = diagnose.ClosedUnanswered(chained)
	case left && silent && chained && r.back.terms.unsent != "":
		end.Diagnosis = diagnose.New("target.reset_without_certificate", "what", end.What, "unsent", r.back.terms.unsent)
	case left && silent:
		end.Diagnosis = diagnose.ResetUnanswered(end.What, chained, asked && !nested)
	}
	return end
}

// explainTLS fills in what err, from crypto/tls, means. s is the side that it is about.
func (e *ending) explainTLS(s *side, err error) {
	var plain tls.RecordHeaderError
	var remote *net.OpError
	who, why := s.name, s.whyRefused(err)
	says := func(texts ...string) bool {
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(err.Error(), text) })
	}
	switch {
	case errors.As(err, &plain) && (plain.Conn != nil || plain.RecordHeader[0] == 0x80): // not one amid others
		start := plain.RecordHeader[:]
		if bytes.HasPrefix(s.wire.first, start) {
			start = s.wire.first
		}
		e.What = fmt.Sprintf("the %s isn't speaking TLS: %s; is mode right?", who, describePlain(start))
	case why != "":
		e.Level, e.By, e.What = slog.LevelWarn, byTunnel, "tlstunnel refused the "+who+"'s "+why
	case errors.As(err, &remote) && remote.Op == "remote error":
		e.Level, e.What = slog.LevelWarn, s.terms.explainAlert(remote.Err)
		if isOneOf(remote.Err, alertInternalError, alertDecodeError, alertIllegalParameter, alertRecordOverflow) && who == byTarget {
			e.What += s.wire.bigHello()
		}
	case says(textDeclines, textNewHello):
		e.Level, e.By = slog.LevelWarn, byTunnel
		e.What = "the " + who + " asks for a second handshake amid the connection (renegotiation of TLS 1.2), which tlstunnel never does: switch that off there, or let the " + who + " speak TLS 1.3, which has none"
	case says(textUnreadable, textUnreadable2):
		e.Level, e.By = slog.LevelWarn, byTunnel
		e.What = "the " + who + "'s certificate can't be used: it " + chain.Unreadable(nil, err) + "; it needs another one"
	case says(textOtherKey, textOtherKey2, textLargeKey):
		e.Level, e.By = slog.LevelWarn, byTunnel
		e.What = "the " + who + "'s certificate can't be used: it has a key of a kind or size that isn't supported; it needs one with an RSA key of at most 8192 bits, or an ECDSA or Ed25519 key"
	case says(textNoCertificate):
		e.By, e.What = byTunnel, "the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none"
	case says(textVersions, textVersion):
		e.By, e.What = byTunnel, "the "+who+" speaks only versions of TLS older than this tunnel's profile allows: update it"
	case says(textInCommon, textSchemes):
		e.By, e.What = byTunnel, cmp.Or(explainLegacy(s.terms.config, err.Error()), s.terms.whyNothingInCommon())
	case says(textNoSchemes):
		e.By, e.What = byTunnel, "the "+who+" knows only signatures with SHA-1, which isn't accepted (it names no signature algorithms): update it"
	case says(textALPN):
		e.By, e.What = byTunnel, "the "+who+" offers none of the protocols in alpn"
	case says(textDecoding) && who == byPeer && endsWithDot(s.wire.first):
		e.What = fmt.Sprintf("the peer asks for the name %q, with a dot at its end, which TLS doesn't allow there: it must leave the dot out", clipTo(serverNameOf(s.wire.first), 253))
	default:
		e.What = "TLS with the " + who + " failed"
	}
}

// whyRefused says what of the other side we refused, and why, if err is that. It goes on
// after "tlstunnel refused the target's".
func (s *side) whyRefused(err error) string {
	var (
		refused *tls.CertificateVerificationError
		pinned  *pinError
		weak    *weakError
		flight  *flightError
	)
	switch {
	case errors.As(err, &refused):
		return "certificate: " + s.terms.whyRefused(refused)
	case errors.As(err, &pinned):
		return "certificate: " + pinned.explain()
	case errors.As(err, &weak):
		return "certificate: " + weak.Error()
	case errors.As(err, &flight):
		return "handshake: it sent " + flight.what
	}
	return ""
}

// What crypto/tls says, in parts; it has no other way to tell these errors apart.
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
	textNoSchemes     = "missing signature_algorithms"
	textSchemes       = "any of the certificate's signature algorithms"
	textALPN          = "application protocol"
	textDecoding      = "error decoding message"
	textDeclines      = "tls: no renegotiation"                                             // of a client
	textNewHello      = "of type *tls.clientHelloMsg when waiting for *tls.helloRequestMsg" // of a server
)
