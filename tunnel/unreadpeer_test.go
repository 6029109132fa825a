package tunnel

import (
	"errors"
	"runtime"
	"testing"

	"tlstunnel/internal/sock"
)

// A peer that reads nothing holds two small chunks in memory: what was read of the target,
// and the TLS records made of it. Once it reads, it gets all of it.
func TestPeerThatReadsNothing(t *testing.T) {
	for _, mode := range modes[:2] {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			live := countChunks(t)
			p := newPath(t, mode, nil)
			const peers, each = 4, 24 << 20
			sent := make(chan error, peers)
			var all []*end
			var pushed *countingWriter
			for range peers {
				peer, target := p.open(t)
				all = append(all, peer)
				into := &countingWriter{w: target}
				pushed = into
				go func() { sent <- errors.Join(send(into, each), target.CloseWrite()) }()
			}
			settled(t, &pushed.n)
			if raceDetector {
				t.Skip("the race detector makes pools forget")
			}
			eventually(t, "only small chunks are held", func() bool {
				runtime.GC()
				return live.Load() <= peers*2*(sock.Spare+sock.SmallChunk)
			})
			for _, peer := range all {
				check(t, receiveAll(peer, each), <-sent)
			}
		})
	}
}
