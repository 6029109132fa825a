package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
)

// explainFront says why the accepted connection's handshake failed. What port
// scanners and load balancers' probes do is debug; a peer that means to speak to
// us and can't is info; what is wrong with our certificate is warn.
func (t *Tunnel) explainFront(c *conn, turn *handshakeTurn, err error) *ending {
	end := &ending{outcome: handshakeFailed, level: slog.LevelInfo, by: byPeer, err: err}
	switch {
	case t.setup.Err() != nil:
		end.level, end.by, end.reason = slog.LevelDebug, byTunnel, "tlstunnel is stopping"
	case errors.Is(err, context.DeadlineExceeded):
		end.by, end.reason = byTunnel, "the peer didn't finish the TLS handshake within handshake_timeout"
		switch {
		case !c.front.wire.received:
			end.level, end.reason = slog.LevelDebug, "the peer sent nothing within handshake_timeout"
		case turn.asked && !turn.held:
			end.level, end.reason = slog.LevelWarn, fmt.Sprintf("%d other handshakes didn't end within handshake_timeout: this one had no turn", maxHandshakes)
		}
	case isGone(err) && !turn.asked:
		end.level, end.reason = slog.LevelDebug, "the peer closed before it had said what TLS it wants"
	case isGone(err):
		end.reason = "the peer closed in the middle of the TLS handshake; some programs do so when they don't trust our certificate"
	default:
		if alert, ok := c.front.wire.plainAlert(); ok {
			err = &net.OpError{Op: "remote error", Err: tls.AlertError(alert)}
			end.err = err
		}
		end.explainTLS(byPeer, c.settings.Front, err)
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
		end.reason = "nothing listens at the target: is its service running, and is the port right?"
	case errors.Is(err, errHostUnreach), errors.Is(err, errNetUnreach):
		end.reason = "there is no route to the target: check its address and the network"
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
func (t *Tunnel) explainBack(target Target, err error) *ending {
	end := &ending{outcome: dialFailed, level: slog.LevelWarn, by: byTarget, err: err}
	switch {
	case t.setup.Err() != nil:
		end.level, end.by, end.reason = slog.LevelDebug, byTunnel, "tlstunnel is stopping"
	case errors.Is(err, context.DeadlineExceeded):
		end.reason = "the target didn't finish the TLS handshake within handshake_timeout: does it speak TLS at this port?"
	case isGone(err):
		end.reason = "the target closed in the middle of the TLS handshake: it doesn't speak TLS at this port, or it refuses this machine; its own log knows"
	default:
		end.explainTLS(byTarget, target.TLS, err)
	}
	return end
}

// explainRelay says why s failed while bytes were relayed.
func explainRelay(s *side, err error) *ending {
	end := interruption(s.name, "", err)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		end.reason = "the " + s.name + " closed the connection in the middle of a TLS record"
	case isGone(err):
		end.reason = "the " + s.name + " reset the connection"
	case errors.Is(err, errTimedOut), isTimeout(err):
		end.reason = "the " + s.name + " vanished: it no longer answers keepalive probes or takes data"
	case s.wire != nil:
		end.explainTLS(s.name, s.config, err)
	default:
		end.reason = "the connection to the " + s.name + " failed"
	}
	return end
}

// explainTLS fills in what err, from crypto/tls, means. who is the other side,
// config is what we offered it.
func (e *ending) explainTLS(who string, config *tls.Config, err error) {
	var (
		plain   tls.RecordHeaderError
		refused *tls.CertificateVerificationError
		pinned  *pinError
		remote  *net.OpError
		text    = err.Error()
	)
	switch {
	case errors.As(err, &plain) && (plain.Conn != nil || plain.RecordHeader[0] == 0x80): // not one amid others
		e.reason = fmt.Sprintf("the %s isn't speaking TLS: %s; is mode right?", who, describePlain(plain.RecordHeader[:]))
	case errors.As(err, &refused):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "tlstunnel refused the " + who + "'s certificate: " + whyRefused(refused, who, config.ServerName)
	case errors.As(err, &pinned):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "tlstunnel refused the " + who + "'s certificate: " + pinned.explain()
	case errors.As(err, &remote) && remote.Op == "remote error":
		e.level, e.reason = slog.LevelWarn, explainAlert(who, config, remote.Err)
	case strings.Contains(text, "didn't provide a certificate"):
		e.by, e.reason = byTunnel, "the peer has no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca signed"
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "unsupported protocol version"):
		e.by, e.reason = byTunnel, "the "+who+" speaks only versions of TLS older than this tunnel's profile allows: update it"
	case explainLegacy(config, text) != "":
		e.by, e.reason = byTunnel, explainLegacy(config, text)
	case strings.Contains(text, "supported by both client and server"), strings.Contains(text, "no supported elliptic curves"):
		e.by, e.reason = byTunnel, "the "+who+" has no cipher suite or key exchange in common with this tunnel's profile"
	case strings.Contains(text, "application protocol"):
		e.by, e.reason = byTunnel, "the "+who+" offers none of the protocols in alpn"
	default:
		e.reason = "TLS with the " + who + " failed"
	}
}

// declinesToRenegotiate reports whether err is that our crypto/tls, as a client, has
// declined to do another handshake within TLS 1.2.
func declinesToRenegotiate(err error) bool {
	return strings.Contains(err.Error(), "tls: no renegotiation")
}

// describePlain guesses what a peer speaks that isn't TLS from the first bytes
// that it sent.
func describePlain(start []byte) string {
	for _, known := range []struct{ prefix, name string }{
		{"GET ", "plain HTTP"}, {"POST", "plain HTTP"}, {"HEAD", "plain HTTP"}, {"PUT ", "plain HTTP"},
		{"OPTIO", "plain HTTP"}, {"HTTP", "plain HTTP"}, {"CONNE", "plain HTTP"}, {"PRI *", "plain HTTP/2"},
		{"SSH-", "SSH"}, {"\x01\x00", "DICOM without TLS"}, {"\x0bMSH", "HL7 (MLLP) without TLS"},
		{"\x00\x00\x00\x08\x04", "PostgreSQL, which asks for TLS in its own way"},
		{"\x80", "a greeting of SSL 2.0"}, {"\x03\x00", "RDP (TPKT)"}, {"220", "a server that greets first, as SMTP and FTP do"},
	} {
		if bytes.HasPrefix(start, []byte(known.prefix)) {
			return known.name
		}
	}
	return fmt.Sprintf("it began with %q", start)
}

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
