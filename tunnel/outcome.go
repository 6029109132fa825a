package tunnel

import "log/slog"

// outcome is how far a connection came.
type outcome int

const (
	refused         outcome = iota // by an address rule, a limit, or as not authorized
	handshakeFailed                // of the accepted connection
	dialFailed                     // no target took it
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

// Who ended a connection, as the log has it.
const (
	byPeer   = "peer"      // the accepted connection
	byTarget = "target"    // the dialled one
	byTunnel = "tlstunnel" // we ourselves
)

// ending is how and why a connection ended.
type ending struct {
	outcome outcome
	level   slog.Level
	by      string // byPeer, byTarget or byTunnel
	reason  string // for an administrator: what happened, and what to do
	err     error  // what the system or crypto/tls said, if anything
}

func refusal(reason string) *ending {
	return &ending{refused, slog.LevelWarn, byTunnel, reason, nil}
}

func interruption(by, reason string, err error) *ending {
	return &ending{interrupted, slog.LevelInfo, by, reason, err}
}

// completion is the end of both streams, of which that of s came first.
func completion(s *side) *ending {
	reason := "end of stream"
	if s.truncated() {
		reason = "end of stream without close_notify"
	}
	return &ending{completed, slog.LevelInfo, s.name, reason, nil}
}

// truncated reports whether a TLS side ended without close_notify. Many programs
// never send one, so it isn't treated as an error; but then nobody can tell a
// whole stream from one that was cut (RFC 8446, section 6.1).
func (s *side) truncated() bool { return s.wire != nil && s.wire.finished }

func (e *ending) attrs(skipped int64) []slog.Attr {
	a := []slog.Attr{slog.String("ended_by", e.by), slog.String("reason", clip(e.reason))}
	if e.err != nil {
		a = append(a, slog.String("err", clip(e.err.Error())))
	}
	if skipped > 0 {
		a = append(a, slog.Int64("skipped", skipped))
	}
	return a
}
