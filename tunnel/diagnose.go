package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"

	"tlstunnel/internal/diagnose"
)

// silentPeer is the code for a peer that never sends a byte, such as a health check.
const silentPeer = "peer.silent"

// explainFront says why the accepted connection's handshake failed.
func explainFront(c *conn, err error) *ending {
	h := c.front.handshake
	var why diagnose.Diagnosis
	switch {
	case errors.Is(err, context.DeadlineExceeded) && !c.front.tls.Received():
		why = diagnose.New(silentPeer)
	case errors.Is(err, context.DeadlineExceeded) && h.starved:
		why = diagnose.New("tlstunnel.no_turn")
	case diagnose.IsGone(err) && h.flight.messages == 0:
		why = diagnose.New("peer.left")
	default:
		if alert, ok := c.front.tls.PlainAlert(); ok {
			err = &net.OpError{Op: "remote error", Err: tls.AlertError(alert)}
		}
		why = c.front.handshakeFacts().Explain(err)
	}
	return &ending{handshakeFailed, why, err}
}

// explainDial says why a target couldn't be connected to.
func explainDial(err error) *ending {
	return &ending{dialFailed, diagnose.Dial(byTarget, "connect_timeout", err), err}
}

// explainBack says why the TLS handshake with a target failed.
func explainBack(back *side, err error) *ending {
	return &ending{dialFailed, back.handshakeFacts().Explain(err), err}
}

// handshakeFacts returns all that is known of a failed handshake with s.
func (s *side) handshakeFacts() *diagnose.Handshake {
	s.terms.First, s.terms.Received, s.terms.Sent = s.tls.First(), s.tls.Received(), s.tls.SentFirst()
	return s.terms
}

// explainRelay says why s failed while bytes were relayed.
func explainRelay(s *side, err error) *ending {
	code := "*.connection_failed"
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		code = "*.closed_in_record"
	case err == errNoCloseNotify && s.isTunnel:
		code = "*.cut_off"
	case err == errNoCloseNotify:
		code = "*.no_close_notify"
	case diagnose.IsGone(err):
		code = "*.reset"
	case errors.Is(err, errTimedOut), diagnose.IsTimeout(err):
		code = "*.vanished"
	case s.tls != nil:
		return &ending{interrupted, s.terms.Explain(err), err}
	}
	return &ending{interrupted, diagnose.New(code, "side", s.name), err}
}

// explainTarget adds to end that the target probably didn't understand the peer's bytes, for
// example because it expects TLS and got plain bytes.
func (r *relaying) explainTarget(end *ending) *ending {
	chained := r.back.tls != nil
	nested := diagnose.IsHello(r.up.first) // both programs speak TLS inside the tunnel, which is fine
	asked, silent := r.up.first != nil, r.down.first == nil
	left := end.outcome == interrupted && end.By == byTarget && diagnose.IsGone(end.err)
	switch {
	case end.By != byTunnel && diagnose.IsAlert(r.down.first) && r.toFront.Load() <= 2*diagnose.AlertSize && !nested:
		end.Diagnosis = diagnose.SpeaksTLS(chained)
	case end.outcome == completed && r.finished == r.back && asked && silent && !nested:
		end.Diagnosis = diagnose.ClosedUnanswered(chained)
	case left && silent && chained && r.back.terms.Unsent != nil:
		end.Diagnosis = diagnose.ResetWithoutCertificate(end.What, *r.back.terms.Unsent)
	case left && silent:
		end.Diagnosis = diagnose.ResetUnanswered(end.What, chained, asked && !nested)
	}
	return end
}
