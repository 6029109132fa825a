package tunnel

import "time"

// lookForUnseenEnds makes half_close_timeout count for ends that nobody sees: a
// direction that can't pass on its bytes, as the other side takes none, doesn't read
// on, not up to an end of stream and not up to a reset. It looks again for as long as
// there are connections that relay.
func (t *Tunnel) lookForUnseenEnds() {
	relays := t.entered()
	for _, r := range relays {
		if r.up.hidesEnd() || r.down.hidesEnd() {
			r.limitHalfClose()
		}
	}
	if len(relays) > 0 {
		t.unseen.Reset(t.unseenInterval())
	}
}

func (t *Tunnel) unseenInterval() time.Duration {
	return max(t.settings.Load().HalfCloseTimeout/checksPerLimit, 10*time.Millisecond)
}

func (f *flow) hidesEnd() bool { return f.passing.Load() && hasEnded(f.src.tcp.TCPConn) }
