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

// hangUp closes s. Unless it has got all that was for it, with its end of stream, or
// an alert, that is a reset: half a transfer must never look like a whole one.
func (t *Tunnel) hangUp(s *side) {
	if s.rejected.Load() {
		t.part(s.tcp)
	} else {
		s.tcp.Close()
	}
}

// part closes a connection so that the other end can read our alert. To close it
// while bytes of the other end are unread would make the system reset it, and many
// programs see the reset before the alert. So part ends our stream and reads on for a
// moment. It does that for some connections at once; a flood of rejected ones mustn't
// cost more, and the next ones are closed at once.
func (t *Tunnel) part(c *source) {
	c.endQuietly()
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
