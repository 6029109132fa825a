package tunnel

import (
	"log/slog"
	"testing"
)

// What a program sends after the other has ended its stream must arrive, whichever of them
// ends first and whichever side has TLS.
func TestHalfClose(t *testing.T) {
	const after = 1 << 20
	for _, mode := range modes {
		for _, firstToEnd := range []string{byPeer, byTarget} {
			t.Run(mode+"/"+firstToEnd+" ends first", func(t *testing.T) {
				leakCheck(t)
				p := newPath(t, mode, nil)
				first, second := p.open(t)
				if firstToEnd == byTarget {
					first, second = second, first
				}

				check(t, send(first, 1000), first.CloseWrite())
				check(t, receiveAll(second, 1000))
				check(t,
					together(func() error { return send(second, after) }, func() error { return receive(first, after) }),
					second.CloseWrite(),
					receiveEnd(first))

				for _, r := range p.tunnels {
					rec := r.logs.expect(t, 0, slog.LevelInfo, "connection closed", firstToEnd, "end of stream")
					toTarget, toPeer := int64(1000), int64(after)
					if firstToEnd == byTarget {
						toTarget, toPeer = toPeer, toTarget
					}
					if rec.attrs["to_target"].Int64() != toTarget || rec.attrs["to_peer"].Int64() != toPeer {
						t.Errorf("want to_target=%d to_peer=%d, got %v", toTarget, toPeer, rec)
					}
					want := Stats{Completed: 1, ToTarget: toTarget, ToPeer: toPeer}
					if got := r.Stats(); got != want {
						t.Errorf("got %+v, want %+v", got, want)
					}
				}
			})
		}
	}
}
