package tunnel

import (
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"tlstunnel/internal/dn"
)

// close closes both sides and writes the connection's one log line.
func (t *Tunnel) close(c *conn, end *ending) {
	c.step.Store(int32(stepClosing))
	for _, s := range []*side{c.front, c.back} {
		if s != nil {
			t.hangUp(s)
		}
	}
	t.stats.count(c, end)
	t.failures.note(c, end, time.Now())
	t.logEnd(c, end)
	t.unregister(c)
}

func (t *Tunnel) logEnd(c *conn, end *ending) {
	ctx := context.Background()
	if !c.settings.log.Enabled(ctx, end.Level) {
		return
	}
	skipped, ok := int64(0), true
	if limiter := t.limiterFor(c, end); limiter != nil {
		skipped, ok = limiter.allow(time.Now(), c.summary(end))
	}
	if !ok {
		return
	}
	c.settings.log.LogAttrs(ctx, end.Level, end.outcome.message(), append(c.attrs(), end.attrs(skipped)...)...)
}

// summary returns the summary of the single connection c, which ended so.
func (c *conn) summary(end *ending) summary {
	return summary{
		event{peerKey{c.origin, c.identity()}, end.outcome, end.Code, end.reasonKind()},
		tally{end.Level, clip(end.String()), 1, c.toBack.Load(), c.toFront.Load()},
	}
}

// attrs returns what is known of c, in the order in which it became known.
func (c *conn) attrs() []slog.Attr {
	a := []slog.Attr{slog.String("peer", c.peer.String())}
	if target := c.targetAddress(); target != "" {
		a = append(a, slog.String("target", target))
	}
	if len(c.failed) > 1 || len(c.failed) == 1 && c.back != nil {
		a = append(a, slog.Any("failed", c.failed))
	}
	if c.session != nil {
		if id := c.identity(); id != "" {
			a = append(a, slog.String("identity", id))
		}
		if c.allowedBy != "" {
			a = append(a, slog.String("allow", clip(c.allowedBy)))
		}
		a = append(a,
			slog.String("tls", tls.VersionName(c.session.Version)),
			slog.String("cipher", tls.CipherSuiteName(c.session.CipherSuite)),
			slog.String("key_exchange", c.session.CurveID.String()),
			slog.Bool("resumed", c.session.DidResume),
			slog.Duration("handshake", c.handshake.Round(time.Microsecond)))
	}
	return append(a,
		slog.Int64("to_target", c.toBack.Load()),
		slog.Int64("to_peer", c.toFront.Load()),
		slog.Duration("duration", time.Since(c.accepted).Round(time.Microsecond)))
}

// identity returns the subject of the certificate that the peer proved, or "".
func (c *conn) identity() string {
	if !c.hasProved() {
		return ""
	}
	return clip(dn.Text(c.session.PeerCertificates[0].Subject))
}

// hasProved reports whether the peer has proved a certificate from a trusted CA.
func (c *conn) hasProved() bool {
	return c.front.tls != nil && c.session != nil && len(c.session.PeerCertificates) > 0
}
