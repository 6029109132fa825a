package tunnel

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"strconv"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/dn"
)

// A RevocationList has the certificates that a CA has revoked before they expire. The caller
// has verified its signature.
type RevocationList struct {
	Name    string // for messages: its file
	Issuer  *x509.Certificate
	Revoked map[string]string // the key is a serial number in decimal, the value says since when and why

	NextUpdate    time.Time // after it, the list is out of date; zero: never
	RefuseExpired bool      // once it is out of date, refuse all certificates of its CA
}

// isAbout reports whether the CA of l issued cert. The signature tells CAs of the same name
// apart.
func (l *RevocationList) isAbout(cert *x509.Certificate) bool {
	return bytes.Equal(cert.RawIssuer, l.Issuer.RawSubject) && cert.CheckSignatureFrom(l.Issuer) == nil
}

// revoked returns why cert is revoked, or nil.
func (s *settings) revoked(cert *x509.Certificate) *diagnose.Refusal {
	for _, l := range s.RevocationLists {
		// isAbout comes last: to check a signature takes time.
		if why, ok := l.Revoked[cert.SerialNumber.String()]; ok && l.isAbout(cert) {
			return &diagnose.Refusal{Code: "*.revoked", Values: []string{"since", why, "file", l.Name}}
		}
	}
	return nil
}

// outOfDate returns a list about cert that is out of date, or nil.
func (s *settings) outOfDate(cert *x509.Certificate, now time.Time) *RevocationList {
	for _, l := range s.RevocationLists {
		if !l.NextUpdate.IsZero() && now.After(l.NextUpdate) && l.isAbout(cert) {
			return l
		}
	}
	return nil
}

// whyRevoked returns why the certificate of the TLS side of c is revoked, or nil.
func (t *Tunnel) whyRevoked(c *conn) *diagnose.Refusal {
	why := c.settings.whyRevoked(c.session)
	if why != nil {
		return why
	}
	for _, verified := range chainsOf(c.session) {
		for _, cert := range verified {
			l := c.settings.outOfDate(cert, time.Now())
			switch {
			case l == nil:
			case l.RefuseExpired:
				return &diagnose.Refusal{Code: "*.crl_out_of_date", Values: []string{"file", l.Name, "issuer", strconv.Quote(dn.Text(l.Issuer.Subject)), "since", date.Time(l.NextUpdate)}}
			default:
				t.warnOutOfDate(c, l)
			}
		}
	}
	return nil
}

// warnOutOfDate warns at most once a second.
func (t *Tunnel) warnOutOfDate(c *conn, l *RevocationList) {
	if skipped, ok := t.outdated.allow(time.Now()); ok {
		c.settings.log.Warn("a CRL is out of date, get a new one from the CA: certificates that were revoked since are accepted",
			"file", l.Name, "issuer", dn.Text(l.Issuer.Subject), "since", l.NextUpdate, "peer", c.peer.String(), "skipped", skipped)
	}
}

// whyRevoked returns nil if a chain of the session has no revoked certificate. Otherwise it says
// what is revoked.
func (s *settings) whyRevoked(session *tls.ConnectionState) (why *diagnose.Refusal) {
	for _, chain := range chainsOf(session) {
		if why = s.revokedIn(chain); why == nil {
			break
		}
	}
	return why
}

func (s *settings) revokedIn(chain []*x509.Certificate) *diagnose.Refusal {
	for i, cert := range chain {
		switch why := s.revoked(cert); {
		case why != nil && i > 0:
			return &diagnose.Refusal{Code: "*.ca_revoked", Values: append(why.Values, "subject", strconv.Quote(dn.Text(cert.Subject)))}
		case why != nil:
			return why
		}
	}
	return nil
}

// chainsOf returns the verified chains. If only a pinned key was checked, there are none, and it
// returns the certificates that were sent.
func chainsOf(session *tls.ConnectionState) [][]*x509.Certificate {
	if len(session.VerifiedChains) == 0 && len(session.PeerCertificates) > 0 {
		return [][]*x509.Certificate{session.PeerCertificates}
	}
	return session.VerifiedChains
}

// abortRevoked ends the connections whose certificate is revoked in s.
func (t *Tunnel) abortRevoked(s *settings) {
	if len(s.RevocationLists) == 0 {
		return
	}
	for _, r := range t.live.relays() {
		r.abortIfRevoked(s)
	}
}

func (r *relaying) abortIfRevoked(s *settings) {
	if r.session == nil {
		return
	}
	if why := s.whyRevoked(r.session); why != nil {
		who := byTarget
		if r.front.tls != nil {
			who = byPeer
		}
		r.abort(&ending{interrupted, why.Of(who, "whose", "the "+who+"'s certificate"), nil})
	}
}
