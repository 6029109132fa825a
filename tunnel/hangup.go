package tunnel

import (
	"context"
	"time"
)

// Bounds for the ends of the connections that we reject. Each of them costs a socket
// and a goroutine with a small stack.
const (
	maxLingering = 64 // at once, for each tunnel
	lingerTime   = time.Second
	lingerBytes  = 1 << 20
)

// hangUp closes s. Unless it has got all that was for it, with its end of stream, or
// an alert, that is a reset: half a transfer must never look like a whole one.
func (t *Tunnel) hangUp(s *side) {
	if s.rejected.Load() {
		t.closeLingering(s.tcp)
	} else {
		s.tcp.Close()
	}
}

// closeLingering closes a connection so that the other end can read our alert. If bytes
// of the other end are unread at a close, the system resets the connection, and many
// programs see the reset before the alert. So closeLingering ends our stream and reads on
// for a moment. A flood of rejected connections mustn't cost much: those above
// maxLingering are closed at once.
func (t *Tunnel) closeLingering(c *source) {
	c.endQuietly()
	select {
	case t.lingering <- struct{}{}:
		t.running.Add(1)
		go t.linger(c)
	default:
		c.Close()
	}
}

func (t *Tunnel) linger(c *source) {
	defer t.running.Done()
	defer func() { <-t.lingering }()
	defer c.Close()
	if c.CloseWrite() != nil {
		return
	}
	_ = c.SetReadDeadline(time.Now().Add(lingerTime))
	stop := context.AfterFunc(t.setup, func() { _ = c.SetReadDeadline(time.Unix(0, 0)) })
	defer stop()
	left := lingerBytes
	_ = c.receive(func(c *chunk, b []byte) (more bool) {
		c.giveBack()
		left -= len(b)
		return left > 0
	})
}
