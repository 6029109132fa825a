package tunnel

import (
	"context"
	"errors"
	"os"
	"time"

	"tlstunnel/internal/sock"
)

// Limits for lingering connections. Each of them costs a socket and a goroutine with a small
// stack.
const (
	maxLingering = 64          // at once, for each tunnel and each reason
	lingerTime   = time.Second // without an acknowledgement of unsent bytes
	lingerBytes  = 1 << 20     // read from a rejected peer or target
)

// lingering is a reason to close a connection slowly, see closeLingering. Each reason has its
// own places, so that rejected strangers can't use up those of other connections.
type lingering struct {
	places chan struct{}
	bytes  int // that are read at most
}

func newLingering(bytes int) lingering { return lingering{make(chan struct{}, maxLingering), bytes} }

// hangUp closes s. If s hasn't got all its bytes with the end of stream, or an alert, the close
// is a reset: half a transfer must never look like a whole one.
func (t *Tunnel) hangUp(s *side) {
	switch {
	case s.rejected.Load():
		t.closeLingering(s.socket, t.rejected)
	case !s.socket.ResetsOnClose() && s.mayBeReset():
		t.closeLingering(s.socket, t.answered)
	default:
		s.socket.Close()
	}
}

// mayBeReset reports whether a close of s can lose the bytes that we sent last. That is so if
// bytes of the other end are unread, or can still come before it has received all. A plain side
// is read up to its FIN. TLS ends with close_notify, and bytes after that are ignored (RFC 8446,
// section 6.1).
func (s *side) mayBeReset() bool {
	if s.tls == nil || s.tls.EndedByFIN() {
		return false
	}
	if s.socket.Unread() > 0 {
		return true
	}
	if n, _ := s.socket.Unacknowledged(); n == 0 {
		return false
	}
	state, ok := s.socket.State()
	return ok && !state.Ended
}

// closeLingering closes a connection so that the other end gets what it was sent last. If
// bytes of the other end are unread at a close, or come after it, the system resets the
// connection. Then it throws away what it still had to send, and many programs see the reset
// before the bytes that have arrived. So closeLingering first ends our stream, and then reads
// for a moment, or for longer while the other end takes what is left. A flood of such
// connections must not cost much: those above maxLingering are closed at once.
func (t *Tunnel) closeLingering(c *sock.Conn, why lingering) {
	c.ResetOnClose(false)
	select {
	case why.places <- struct{}{}:
		t.running.Add(1)
		go t.linger(c, why)
	default:
		c.Close()
	}
}

func (t *Tunnel) linger(c *sock.Conn, why lingering) {
	defer t.running.Done()
	defer func() { <-why.places }()
	defer c.Close()
	if c.CloseWrite() != nil {
		return
	}
	stop := context.AfterFunc(t.setup, func() { c.Close() })
	defer stop()
	left := why.bytes
	for {
		before, _ := c.Unacknowledged()
		_ = c.SetReadDeadline(time.Now().Add(lingerTime))
		err := c.Receive(func(c *sock.Chunk, b []byte) (more bool) {
			c.Release()
			left -= len(b)
			return left > 0
		})
		after, ok := c.Unacknowledged()
		if !errors.Is(err, os.ErrDeadlineExceeded) || !ok || after >= before {
			return
		}
	}
}
