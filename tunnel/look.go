package tunnel

import "time"

// look finds what no read and no write tells of the connections that relay: the end of
// a side that nobody reads from, as its stream has ended or the other side takes
// nothing. It asks the system only about these, and looks again for as long as there are
// connections.
func (t *Tunnel) look() {
	relays := t.entered()
	for _, r := range relays {
		r.look(&r.up)
		r.look(&r.down)
	}
	if len(relays) > 0 {
		t.looking.Reset(t.lookInterval())
	}
}

// lookInterval is a second, or an eighth of what it is about.
func (t *Tunnel) lookInterval() time.Duration {
	s := t.settings.Load()
	interval := min(time.Second, s.HalfCloseTimeout/checksPerLimit)
	if s.Keepalive > 0 {
		interval = min(interval, s.Keepalive/checksPerLimit)
	}
	return max(interval, 10*time.Millisecond)
}

// look is for the side that f comes from.
func (r *relaying) look(f *flow) {
	s, passing := f.src, f.passing.Load()
	if !passing && f.stage.Load() == stageOpen {
		return // its reader sees its end
	}
	switch state, ok := tcpStateOf(s.tcp.TCPConn); {
	case !ok:
	case s.gone.Load() != nil:
		r.endIfForNobody(s)
	case state.dead:
		if err := s.whyDead(); err != nil {
			r.lose(s, explainRelay(s, err))
		}
	case state.ended && passing:
		r.limitHalfClose()
	}
}
