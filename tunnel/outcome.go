package tunnel

import (
	"log/slog"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/quote"
)

// outcome says how a connection ended, by the step that it reached.
type outcome int

const (
	refused         outcome = iota // by an address rule or a limit, or not authorized
	handshakeFailed                // of the accepted connection
	dialFailed                     // no target accepted it
	interrupted                    // relayed, and ended by an error, a timeout or a stop
	completed                      // relayed to the end of both streams
)

// message is constant for each outcome, so that one search finds all of a kind.
func (o outcome) message() string {
	switch o {
	case refused:
		return "connection refused"
	case handshakeFailed:
		return "handshake failed"
	case dialFailed:
		return "target failed"
	case interrupted:
		return "connection interrupted"
	default:
		return "connection closed"
	}
}

// The values of the log attribute that says which side ended a connection.
const (
	byPeer   = diagnose.Peer
	byTarget = diagnose.Target
	byTunnel = diagnose.Tunnel
)

// ending is how and why a connection ended.
type ending struct {
	outcome outcome
	diagnose.Diagnosis
	err error // the error of the system or of crypto/tls, or nil
}

// refusal returns the ending for a code of the table of diagnoses, see [diagnose.New].
func refusal(code string, values ...string) *ending {
	return &ending{refused, diagnose.New(code, values...), nil}
}

// completion returns the ending after both streams have ended, first that of s.
func completion(s *side) *ending {
	code := "*.end"
	if s.truncated() {
		code = "*.end_without_close_notify"
	}
	return &ending{completed, diagnose.New(code, "side", s.name), nil}
}

// truncated reports whether a TLS side ended without close_notify. Many programs never send it,
// so it is no error. But then a complete stream looks like one that was cut off (RFC 8446,
// section 6.1).
func (s *side) truncated() bool { return s.tls != nil && s.tls.EndedByFIN() }

// maxText is the longest foreign text in a log line: the names in a certificate, the protocols
// in a ClientHello.
const maxText = 1000

func clip(text string) string { return quote.Clip(text, maxText) }

func (e *ending) attrs(skipped int64) []slog.Attr {
	a := []slog.Attr{slog.String("code", e.Code), slog.String("ended_by", e.By), slog.String("reason", clip(e.String()))}
	if e.err != nil {
		a = append(a, slog.String("err", clip(e.err.Error())))
	}
	if skipped > 0 {
		a = append(a, slog.Int64("skipped", skipped))
	}
	return a
}
