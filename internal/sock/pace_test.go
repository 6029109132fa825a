package sock

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPace(t *testing.T) { synctest.Test(t, testPace) }

func testPace(t *testing.T) {
	var p pace
	took := time.Duration(0)
	pass := func(n int) {
		c := GetChunk(p.next())
		p.pass(func(c *Chunk, b []byte) bool { time.Sleep(took); c.Release(); return true }, c, min(n, c.Size()))
	}
	want := func(what string, size int) {
		t.Helper()
		if got := p.next(); got != size {
			t.Errorf("%s: got %d, want %d", what, got, size)
		}
	}
	buffer := sendBuffer{held: 4 << 20}
	p.buffer = func() sendBuffer { return buffer }
	want("at first", SmallChunk)
	for range (buffer.held + takenUnread) / SmallChunk {
		pass(largeChunk)
	}
	want("while the system's buffers may hold it all", SmallChunk)
	buffer.size = buffer.held + 3*largeChunk
	want("while the system has room", largeChunk)
	buffer.size = buffer.held
	want("while it has none", SmallChunk)
	buffer.held = 0
	want("a stream that is read", largeChunk)
	pass(100)
	want("a stream that is slow for a moment", largeChunk)
	for range shortReads {
		pass(100)
	}
	want("small messages", SmallChunk)
	pass(largeChunk)
	want("a stream again", largeChunk)
	took = longPass + time.Millisecond
	pass(largeChunk)
	buffer.held = buffer.size
	want("a reader that has stopped", SmallChunk)
}
