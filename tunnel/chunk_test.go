package tunnel

import (
	"errors"
	"runtime"
	"testing"
	"time"
)

// A peer that reads nothing holds two small chunks: what was read of the target, and
// the TLS records made of it. Once it reads, it gets all of it.
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
				return live.Load() <= peers*2*(headroom+smallChunk)
			})
			for _, peer := range all {
				check(t, receiveAll(peer, each), <-sent)
			}
		})
	}
}

func testPace(t *testing.T) {
	var p pace
	took := time.Duration(0)
	pass := func(n int) {
		c := takeChunk(p.next())
		p.take(func(c *chunk, b []byte) bool { time.Sleep(took); c.giveBack(); return true }, c, min(n, c.size()))
	}
	want := func(what string, size int) {
		t.Helper()
		if got := p.next(); got != size {
			t.Errorf("%s: got %d, want %d", what, got, size)
		}
	}
	buffer := sendBuffer{held: 4 << 20}
	p.buffer = func() sendBuffer { return buffer }
	want("at first", smallChunk)
	for range (buffer.held + takenUnread) / smallChunk {
		pass(chunkSize)
	}
	want("while the system's buffers may hold it all", smallChunk)
	buffer.size = buffer.held + 3*chunkSize
	want("while the system has room", chunkSize)
	buffer.size = buffer.held
	want("while it has none", smallChunk)
	buffer.held = 0
	want("a stream that is read", chunkSize)
	pass(100)
	want("a stream that is slow for a moment", chunkSize)
	for range shortReads {
		pass(100)
	}
	want("small messages", smallChunk)
	pass(chunkSize)
	want("a stream again", chunkSize)
	took = longPass + time.Millisecond
	pass(chunkSize)
	buffer.held = buffer.size
	want("a reader that has stopped", smallChunk)
}
