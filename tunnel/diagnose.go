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
	"os"
	"slices"
	"strings"

	"tlstunnel/internal/chain"
)

// sentNothing is the kind of a reason.
const sentNothing = "the peer sent nothing within handshake_timeout"

// explainFront says why the accepted connection's handshake failed. What port
// scanners and load balancers' probes do is debug; a peer that means to speak to
// us and can't is info; what is wrong with our certificate is warn.
func (t *Tunnel) explainFront(c *conn, err error) *ending {
	h := c.front.wire.handshake
	end := &ending{outcome: handshakeFailed, level: slog.LevelInfo, by: byPeer, err: err}
	switch {
	case t.setup.Err() != nil:
		end.level, end.by, end.reason = slog.LevelDebug, byTunnel, "tlstunnel is stopping"
	case context.Cause(c.early) == errCrowded:
		end.level, end.by, end.reason = slog.LevelWarn, byTunnel, fmt.Sprintf("%d connections are in their handshake, most of them from the peer's address or none as old as this one: it made room for another", maxHandshakes)
	case errors.Is(err, context.DeadlineExceeded):
		end.by, end.reason = byTunnel, "the peer didn't finish the TLS handshake within handshake_timeout"
		switch {
		case !c.front.wire.received:
			end.reason = sentNothing + ": a program without TLS that waits for the server to speak first does so"
		case h.starved:
			end.level, end.reason = slog.LevelWarn, "there were more handshakes than this machine can do: this one had no turn within handshake_timeout"
		}
	case isGone(err) && h.flight.messages == 0:
		end.level, end.reason = slog.LevelDebug, "the peer closed before it had said what TLS it wants"
	case isGone(err):
		end.reason = "the peer closed in the middle of the TLS handshake; some programs do so when they don't trust our certificate" + c.front.terms.byItsFile()
	default:
		if alert, ok := c.front.wire.plainAlert(); ok {
			err = &net.OpError{Op: "remote error", Err: tls.AlertError(alert)}
			end.err = err
		}
		end.explainTLS(c.front, err)
	}
	return end
}

// explainDial says why a target couldn't be connected to.
func (t *Tunnel) explainDial(err error) *ending {
	end := &ending{outcome: dialFailed, level: slog.LevelWarn, by: byTarget, err: err}
	var dns *net.DNSError
	switch {
	case t.setup.Err() != nil:
		end.level, end.by, end.reason = slog.LevelDebug, byTunnel, "tlstunnel is stopping"
	case errors.As(err, &dns):
		end.reason = "the target's host name can't be resolved: check its spelling and this machine's DNS"
	case errors.Is(err, errRefused):
		end.reason = "nothing listens at the target, or a firewall rejects: is its service running, and is the port right?"
	case errors.Is(err, errHostUnreach):
		end.reason = "the target can't be reached: it is off, a firewall on the way rejects, or there is no route; check its address, the firewalls and the network"
	case errors.Is(err, errNetUnreach):
		end.reason = "there is no route to the target: check its address and the network"
	case errors.Is(err, errForbidden), errors.Is(err, errNotPermitted):
		end.reason = "connecting to the target is forbidden, " + whoForbids
	case errors.Is(err, errTooMany):
		end.by, end.reason = byTunnel, "too many open files: raise the limit (LimitNOFILE, ulimit -n) or set max_connections"
	case isTimeout(err):
		end.reason = "the target didn't answer within connect_timeout: is it on, and does a firewall drop the packets?"
	case isGone(err):
		end.reason = "the target reset the connection at once: perhaps it refuses this machine; its own log knows"
	default:
		end.reason = "the target can't be connected to"
	}
	return end
}

// explainBack says why the TLS handshake with a target failed.
func (t *Tunnel) explainBack(back *side, err error) *ending {
	end := &ending{outcome: dialFailed, level: slog.LevelWarn, by: byTarget, err: err}
	switch {
	case t.setup.Err() != nil:
		end.level, end.by, end.reason = slog.LevelDebug, byTunnel, "tlstunnel is stopping"
	case errors.Is(err, context.DeadlineExceeded):
		end.reason = "the target didn't finish the TLS handshake within handshake_timeout: does it speak TLS at this port?" + back.wire.bigHello()
	case isGone(err):
		end.reason = "the target closed in the middle of the TLS handshake: it doesn't speak TLS at this port, or it refuses this machine; its own log knows" + back.wire.bigHello()
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
	end := interruption(s.name, "", err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		end.reason = "the " + s.name + " closed the connection in the middle of a TLS record"
	case err == errCut && s.isTunnel:
		end.level = slog.LevelWarn
		end.reason = "the connection to the " + s.name + " was cut off on the way, by a proxy or a firewall say: its stream ended without the close_notify that a tlstunnel sends"
	case err == errCut:
		end.level = slog.LevelWarn
		end.reason = "the " + s.name + " ended its stream without close_notify, and close_notify is \"require\": it may be cut off; if the " + s.name + " never sends one, set \"auto\""
	case isGone(err):
		end.reason = "the " + s.name + " reset the connection"
	case errors.Is(err, errTimedOut), isTimeout(err):
		end.reason = "the " + s.name + " vanished: it no longer answers keepalive probes or takes data"
	case s.wire != nil:
		end.explainTLS(s, err)
	default:
		end.reason = "the connection to the " + s.name + " failed"
	}
	return end
}

// explainTarget says more of end if the program behind us hasn't understood what the
// peer's has sent, perhaps as it speaks TLS itself and got plain bytes.
func (r *relaying) explainTarget(end *ending) *ending {
	const unanswered = " before it had sent a byte: its own log knows why; "
	program, remedy := "the target", "target must be its plain port; for its TLS port, take a tunnel with mode = \"client\""
	if r.back.wire != nil {
		program, remedy = "the program behind the target", "the target of the tunnel there must be its plain port"
	}
	nested := isHello(r.up.start) // TLS within TLS is the business of both programs
	silent := r.down.start == nil
	switch {
	case end.by != byTunnel && isPlainAlert(r.down.start) && r.toFront.Load() <= 2*alertSize && !nested:
		end.by, end.reason = byTarget, program+" speaks TLS itself: it answered plain bytes with an alert; "+remedy
	case end.outcome == completed && r.finished == r.back && r.up.start != nil && silent && !nested:
		end.reason = "the target closed" + unanswered + "if " + program + " speaks TLS itself, " + remedy
	case end.outcome == interrupted && end.by == byTarget && isGone(end.err) && silent && r.back.wire != nil && r.back.terms.unsent != "":
		end.reason += " before it had sent a byte, perhaps as it wants a client certificate" + r.back.terms.unsent
	case end.outcome == interrupted && end.by == byTarget && isGone(end.err) && silent:
		end.reason += unanswered + "if it is a tlstunnel, is the program behind that one running?"
		if r.up.start != nil && !nested {
			end.reason += " If " + program + " speaks TLS itself, " + remedy
		}
	default:
		return end
	}
	end.level = slog.LevelWarn
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
		e.reason = fmt.Sprintf("the %s isn't speaking TLS: %s; is mode right?", who, describePlain(start))
	case why != "":
		e.level, e.by, e.reason = slog.LevelWarn, byTunnel, "tlstunnel refused the "+who+"'s "+why
	case errors.As(err, &remote) && remote.Op == "remote error":
		e.level, e.reason = slog.LevelWarn, s.terms.explainAlert(remote.Err)
		if isOneOf(remote.Err, alertInternalError, alertDecodeError, alertIllegalParameter, alertRecordOverflow) && who == byTarget {
			e.reason += s.wire.bigHello()
		}
	case says(textDeclines, textNewHello):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "the " + who + " asks for a second handshake amid the connection (renegotiation of TLS 1.2), which tlstunnel never does: switch that off there, or let the " + who + " speak TLS 1.3, which has none"
	case says(textUnreadable, textUnreadable2):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "the " + who + "'s certificate can't be used: it " + chain.Unreadable(nil, err) + "; it needs another one"
	case says(textOtherKey, textOtherKey2, textLargeKey):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "the " + who + "'s certificate can't be used: it has a key of a kind or size that isn't supported; it needs one with an RSA key of at most 8192 bits, or an ECDSA or Ed25519 key"
	case says(textNoCertificate):
		e.by, e.reason = byTunnel, "the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none"
	case says(textVersions, textVersion):
		e.by, e.reason = byTunnel, "the "+who+" speaks only versions of TLS older than this tunnel's profile allows: update it"
	case says(textInCommon, textSchemes):
		e.by, e.reason = byTunnel, cmp.Or(explainLegacy(s.terms.config, err.Error()), s.terms.whyNothingInCommon())
	case says(textNoSchemes):
		e.by, e.reason = byTunnel, "the "+who+" knows only signatures with SHA-1, which isn't accepted (it names no signature algorithms): update it"
	case says(textALPN):
		e.by, e.reason = byTunnel, "the "+who+" offers none of the protocols in alpn"
	case says(textDecoding) && who == byPeer && endsWithDot(s.wire.first):
		e.reason = fmt.Sprintf("the peer asks for the name %q, with a dot at its end, which TLS doesn't allow there: it must leave the dot out", clipTo(serverNameOf(s.wire.first), 253))
	default:
		e.reason = "TLS with the " + who + " failed"
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

// isGone reports whether err is the other side's leaving without a word.
func isGone(err error) bool {
	for _, gone := range []error{io.EOF, io.ErrUnexpectedEOF, errReset, errPipe, errAborted, net.ErrClosed} {
		if errors.Is(err, gone) {
			return true
		}
	}
	return false
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
