package tunnel

import "time"

// checkStates asks the kernel for the TCP state of relaying connections where no read and no
// write would notice the end: a side that we don't read from, because its stream has ended or
// the other side is blocked, and a side that has vanished and owes us an acknowledgement. It
// asks only about these, and again as long as there are connections.
func (t *Tunnel) checkStates() {
	for _, r := range t.live.relays() {
		r.checkState(&r.up)
		r.checkState(&r.down)
	}
	if t.live.count() > 0 {
		t.stateTimer.Reset(t.stateInterval())
	}
}

// stateInterval returns a second, or an eighth of the shortest timeout that it serves.
func (t *Tunnel) stateInterval() time.Duration {
	s := t.settings.Load()
	interval := min(time.Second, s.HalfCloseTimeout/checksPerLimit)
	if s.Keepalive > 0 {
		interval = min(interval, s.Keepalive/checksPerLimit)
	}
	return max(interval, 10*time.Millisecond)
}

// checkState checks the side that f reads from.
func (r *relaying) checkState(f *flow) {
	s, writing := f.src, f.writing.Load()
	unread := writing || f.stage.Load() != stageOpen // otherwise the reader sees the end of the side
	waiting := s.socket.OwesAnswer(r.to(s).writing.Load())
	if !unread && !waiting {
		return
	}
	state, ok := s.socket.State()
	if ok && state.Ended && !state.Dead {
		s.finSeen.Store(true)
	}
	switch {
	case !ok:
	case s.gone.Load() != nil:
		r.endIfForNobody(s)
	case state.Dead && unread && !r.wasEnded(s):
		if err := s.socket.WhyDead(); err != nil {
			r.lose(s, explainRelay(s, err))
		}
	case waiting && state.Vanished:
		if writing && s.tls != nil && s.tls.MayEndInAlert() {
			s.alertSeen.Store(true) // if it isn't one, half_close_timeout ends this
		}
		s.vanished.Store(true)
		r.lose(s, explainRelay(s, errTimedOut))
	case state.Ended && writing:
		r.limitHalfClose()
	case f.stage.Load() == stageEnded && s.tls != nil:
		// If the side has closed, its system answers any further bytes with a reset. A session
		// ticket is the only thing that we can send by ourselves.
		s.tls.SendTicket()
	}
}
