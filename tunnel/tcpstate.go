package tunnel

import "time"

// checkStates finds what no read and no write tells of the connections that relay: the end of
// a side that nobody reads from, as its stream has ended or the other side takes
// nothing, and a side that has vanished and owes us an acknowledgement. It asks the
// system only about these, and looks again for as long as there are connections.
func (t *Tunnel) checkStates() {
	for _, r := range t.live.relays() {
		r.checkState(&r.up)
		r.checkState(&r.down)
	}
	if t.live.count() > 0 {
		t.stateTimer.Reset(t.stateInterval())
	}
}

// stateInterval is a second, or an eighth of what it is about.
func (t *Tunnel) stateInterval() time.Duration {
	s := t.settings.Load()
	interval := min(time.Second, s.HalfCloseTimeout/checksPerLimit)
	if s.Keepalive > 0 {
		interval = min(interval, s.Keepalive/checksPerLimit)
	}
	return max(interval, 10*time.Millisecond)
}

// checkState is for the side that f comes from.
func (r *relaying) checkState(f *flow) {
	s, writing := f.src, f.writing.Load()
	unread := writing || f.stage.Load() != stageOpen // if it is read, its reader sees its end
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
		// If it closed, its system resets the connection when something more comes. A
		// ticket is the one thing that we have to say by ourselves.
		s.tls.SendTicket()
	}
}
