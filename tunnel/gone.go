package tunnel

import (
	"time"

	"tlstunnel/internal/sock"
)

// maxDiscarded is how many bytes of one side are read and thrown away after the other
// side has gone. Many programs send their answer before they read on, and what the gone
// side sent must still reach them. To read that much takes some 0.1 s of a processor.
const maxDiscarded = 256 << 20

// lose notes that s takes nothing any more, and why.
func (r *relaying) lose(s *side, why *ending) {
	s.gone.CompareAndSwap(nil, why)
	_ = s.socket.SetWriteDeadline(time.Unix(0, 0)) // for a write that waits for it
	r.limitHalfClose()
	r.endIfForNobody(s)
}

// endIfForNobody ends the connection if nobody needs it any more. It is called for a side
// that is gone, whenever more of what it has sent may have arrived.
func (r *relaying) endIfForNobody(s *side) {
	if r.isForNobody(s) {
		r.abort(s.gone.Load())
	}
}

// isForNobody decides whether nobody needs the connection any more, now that s is gone.
// Nobody takes what the other side sends. The other side must still get what s has sent,
// if that is all that s meant to send. That is over when the system of the other side has
// acknowledged the end of the stream. Until then it may take as long as it makes progress,
// as after any end.
func (r *relaying) isForNobody(s *side) bool {
	own := r.from(s)
	switch own.stage.Load() {
	case stageOpen:
		if s.vanished.Load() {
			return !s.hasEnded()
		}
		return own.writing.Load() && !s.endWaits() // if not, it is read up to its end
	case stageEnding:
		return false
	case stageEnded:
		n, ok := own.dst.socket.Unacknowledged()
		return ok && n == 0
	default:
		return true
	}
}

// discard reads on from f.src, though f.dst takes nothing any more: it may have to be
// rid of that before it takes what f.dst sent. These bytes count nowhere as progress.
func (r *relaying) discard(f *flow) {
	left := maxDiscarded
	_ = f.src.socket.SetReadDeadline(time.Time{})
	err := f.src.socket.Receive(func(c *sock.Chunk, b []byte) (more bool) {
		left -= len(b)
		c.Release()
		return left > 0 && !r.isForNobody(f.dst)
	})
	if err == nil {
		r.abort(f.dst.gone.Load())
	}
}

// from is the direction that brings what s has sent.
func (r *relaying) from(s *side) *flow {
	if s == r.front {
		return &r.up
	}
	return &r.down
}

// to is the direction that brings s what the other side has sent.
func (r *relaying) to(s *side) *flow {
	if s == r.front {
		return &r.down
	}
	return &r.up
}

// wasEnded reports whether we have sent s our FIN, or are about to. Then the error of a
// connection that is dead doesn't tell whether a FIN of s came before: Linux gives
// ECONNRESET for both. A read up to there tells, if nobody takes the error before.
func (r *relaying) wasEnded(s *side) bool {
	stage := r.to(s).stage.Load()
	return s.tls == nil && (stage == stageEnding || stage == stageEnded)
}

// hasEnded reports whether the end of the stream of s has come, perhaps behind other
// bytes that nobody has read yet.
func (s *side) hasEnded() bool {
	state, ok := s.socket.State()
	return s.endSeen() || ok && state.Ended
}

// endWaits reports whether the stream of s, which is dead, has a proper end behind the
// bytes that nobody has read yet, or may have.
func (s *side) endWaits() bool {
	if s.endSeen() {
		return true
	}
	return sock.EndedBefore(s.socket.WhyDead()) || s.tls != nil && s.tls.MayEndInAlert()
}

// endSeen reports whether an end of the stream of s was read, or was seen to wait.
func (s *side) endSeen() bool {
	return s.finSeen.Load() || s.alertSeen.Load() || s.tls != nil && s.tls.SawCloseNotify()
}
