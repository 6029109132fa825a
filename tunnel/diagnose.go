package tunnel

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"time"
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
		end.explainTLS(byPeer, t.settings.Front, err)
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
		end.reason = "the target closed in the middle of the TLS handshake: does it speak TLS at this port?"
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
		remote  *net.OpError
		text    = err.Error()
	)
	switch {
	case errors.As(err, &plain) && (plain.Conn != nil || plain.RecordHeader[0] == 0x80): // not one amid others
		e.reason = fmt.Sprintf("the %s isn't speaking TLS: %s", who, describePlain(plain.RecordHeader[:]))
	case errors.As(err, &refused):
		e.level, e.by = slog.LevelWarn, byTunnel
		e.reason = "tlstunnel refused the " + who + "'s certificate: " + whyRefused(refused, who, config.ServerName)
	case errors.As(err, &remote) && remote.Op == "remote error":
		e.level, e.reason = slog.LevelWarn, explainAlert(who, config, remote.Err)
	case strings.Contains(text, "didn't provide a certificate"):
		e.by, e.reason = byTunnel, "the peer has no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca signed"
	case strings.Contains(text, "unsupported versions"), strings.Contains(text, "unsupported protocol version"):
		e.by, e.reason = byTunnel, "the "+who+" speaks only versions of TLS older than this tunnel's profile allows: update it"
	case strings.Contains(text, "supported by both client and server"), strings.Contains(text, "no supported elliptic curves"):
		e.by, e.reason = byTunnel, "the "+who+" has no cipher suite or key exchange in common with this tunnel's profile"
	case strings.Contains(text, "application protocol"):
		e.by, e.reason = byTunnel, "the "+who+" offers none of the protocols in alpn"
	default:
		e.reason = "TLS with the " + who + " failed"
	}
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
	return fmt.Sprintf("it began with % x", start)
}

// whyRefused says what is wrong with a certificate that we didn't accept, and
// what would make it acceptable. expected is the name that it should have had.
func whyRefused(v *tls.CertificateVerificationError, who, expected string) string {
	leaf := v.UnverifiedCertificates[0]
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(v.Err, &name):
		return fmt.Sprintf("expected the name %q, but it is for %s; if this is the right machine, set server_name to a name of its certificate", expected, names(leaf))
	case errors.As(v.Err, &unknown):
		list := "ca"
		if who == byPeer {
			list = "client_ca"
		}
		return fmt.Sprintf("%s isn't trusted here; if you trust it, add its certificate to %s of this tunnel", signer(v.UnverifiedCertificates), list)
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.Expired: // or not yet valid
		bad, remedy := invalid.Cert, "renew it, or set this machine's clock right"
		if time.Now().Before(bad.NotBefore) {
			remedy = "set this machine's clock right, or wait"
		}
		return fmt.Sprintf("%q is valid from %s to %s, and here it is %s: %s",
			bad.Subject, day(bad.NotBefore), day(bad.NotAfter), day(time.Now()), remedy)
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "it isn't meant for this use (extended key usage): a server needs serverAuth, a client clientAuth"
	default:
		return v.Err.Error()
	}
}

// signer names the CA that would have to be trusted for chain to be.
func signer(chain []*x509.Certificate) string {
	top := chain[len(chain)-1]
	switch {
	case !bytes.Equal(top.RawIssuer, top.RawSubject):
		return fmt.Sprintf("the CA %q (key id %x; it wasn't sent along, so its fingerprint isn't known)", top.Issuer, top.AuthorityKeyId)
	case len(chain) == 1:
		return fmt.Sprintf("the self-signed certificate %q (SHA-256 %s)", top.Subject, fingerprint(top.Raw))
	default:
		return fmt.Sprintf("the CA %q (SHA-256 %s)", top.Subject, fingerprint(top.Raw))
	}
}

// names lists the names in a certificate, ten at the most.
func names(cert *x509.Certificate) string {
	var all []string
	for _, n := range cert.DNSNames {
		all = append(all, fmt.Sprintf("%q", n))
	}
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	switch {
	case len(all) == 0:
		return fmt.Sprintf("no name at all (only the subject %q, which doesn't count)", cert.Subject)
	case len(all) > 10:
		return fmt.Sprintf("%s and %d others", strings.Join(all[:10], ", "), len(all)-10)
	default:
		return strings.Join(all, ", ")
	}
}

// explainAlert says what the other side meant by the alert (RFC 8446, section 6)
// with which it ended TLS.
func explainAlert(who string, config *tls.Config, alert error) string {
	const (
		handshakeFailure = 40
		badCertificate   = 42
		certRevoked      = 44
		certExpired      = 45
		certUnknown      = 46
		unknownCA        = 48
		accessDenied     = 49
		protocolVersion  = 70
		unrecognizedName = 112
		certRequired     = 116
		noALPN           = 120
	)
	is := func(code uint8) bool { return alert.Error() == tls.AlertError(code).Error() }
	refused := "the " + who + " refused tlstunnel's certificate"
	switch {
	case is(unknownCA):
		return refused + ": it doesn't trust " + ourSigner(config) + "; give it that CA's certificate"
	case is(badCertificate), is(certUnknown):
		return refused + ": perhaps it doesn't trust " + ourSigner(config) + ", or expects another name; its own log knows"
	case is(certExpired):
		return refused + ": it takes it for expired; compare the clocks"
	case is(certRevoked):
		return refused + ": it takes it for revoked"
	case is(accessDenied):
		return refused + ": it is valid, but has no access there"
	case is(certRequired):
		return "the " + who + " wants a client certificate: set cert and key"
	case is(handshakeFailure):
		return "the " + who + " found no TLS parameters in common, or wants a client certificate (cert and key)"
	case is(protocolVersion):
		return "the " + who + " speaks no version of TLS that this tunnel's profile allows"
	case is(unrecognizedName):
		return "the " + who + " doesn't know the name that it was asked for: check server_name"
	case is(noALPN):
		return "the " + who + " speaks none of the protocols in alpn"
	default:
		return "the " + who + " ended TLS with an alert; its own log knows why"
	}
}

// ourSigner names the CA of the certificate that we showed.
func ourSigner(config *tls.Config) string {
	var shown *tls.Certificate
	switch {
	case len(config.Certificates) > 0:
		shown = &config.Certificates[0]
	case config.GetCertificate != nil:
		shown, _ = config.GetCertificate(new(tls.ClientHelloInfo))
	case config.GetClientCertificate != nil:
		shown, _ = config.GetClientCertificate(new(tls.CertificateRequestInfo))
	}
	if shown == nil {
		return "its CA"
	}
	var chain []*x509.Certificate
	for _, der := range shown.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			chain = append(chain, cert)
		}
	}
	if len(chain) == 0 {
		return "its CA"
	}
	return signer(chain)
}

// fingerprint is the SHA-256 of a certificate as people compare it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }

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
