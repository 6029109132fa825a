package tunnel

import (
	"context"
	"time"
)

// Bounds for the ends of the connections that we reject. Each of them costs a socket
// and a goroutine with a small stack.
const (
	maxPartings  = 64 // at once, for each tunnel
	partingTime  = time.Second
	partingBytes = 1 << 20
)

// hangUp closes s. If it has got all that was for it and its end of stream, that is
// an end like any other. If not, it is a reset, so that half a transfer never looks
// like a whole one, unless an alert says that and why.
func (t *Tunnel) hangUp(s *side) {
	switch {
	case s.rejected.Load():
		t.part(s.tcp)
	case s.whole:
		s.tcp.Close()
	default:
		s.reset()
	}
}

// part closes a connection so that the other end can read our alert. To close it
// while bytes of the other end are unread would make the system reset it, and many
// programs see the reset before the alert. So part ends our stream and reads on for a
// moment. It does that for some connections at once; a flood of rejected ones mustn't
// cost more, and the next ones are closed at once.
func (t *Tunnel) part(c *source) {
	select {
	case t.partings <- struct{}{}:
		t.running.Add(1)
		go t.readToPart(c)
	default:
		c.Close()
	}
}

func (t *Tunnel) readToPart(c *source) {
	defer t.running.Done()
	defer func() { <-t.partings }()
	defer c.Close()
	if c.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(partingTime))
	stop := context.AfterFunc(t.setup, func() { _ = c.SetReadDeadline(time.Unix(0, 0)) })
	defer stop()
	left := partingBytes
	_ = c.receive(func(c *chunk, b []byte) (more bool) {
		c.giveBack()
		left -= len(b)
		return left > 0
	})
}
