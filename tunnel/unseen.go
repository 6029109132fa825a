package tunnel

import "time"

// watchUnseenEnds makes half_close_timeout count for ends that nobody sees: a
// direction that can't pass on its bytes, as the other side takes none, doesn't read
// on, not up to an end of stream and not up to a reset. It returns when t begins to
// stop.
func (t *Tunnel) watchUnseenEnds() {
	for {
		again := time.Minute
		if limit := t.settings.Load().HalfCloseTimeout; limit > 0 {
			again = limit / checksPerLimit
		}
		select {
		case <-time.After(again):
		case <-t.setup.Done():
			return
		}
		for _, r := range t.entered() {
			if r.up.hidesEnd() || r.down.hidesEnd() {
				r.limitHalfClose()
			}
		}
	}
}

func (f *flow) hidesEnd() bool { return f.passing.Load() && hasEnded(f.src.tcp.TCPConn) }
