package tunnel

import (
	"testing"
	"time"
)

// What comes after a close_notify may still be on its way when the answer is
// complete, and the other side may be slow to take that.
func TestLateBytesAfterCloseNotify(t *testing.T) {
	leakCheck(t)
	const answer = 1 << 20
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, mode, nil)
			secure, plain := p.open(t)
			if mode == "client" {
				secure, plain = plain, secure
			}
			check(t, secure.tcp.SetReadBuffer(128<<10))
			check(t, send(secure, 1000), secure.CloseWrite(), receiveAll(plain, 1000))
			check(t, send(plain, answer), plain.CloseWrite())
			p.tunnels[0].logs.next(t, 0)
			_ = secure.tcp.SetWriteDeadline(time.Now().Add(patience)) // crypto/tls has ended it
			for range 3 {                                             // a reset would answer the first, and fail the second
				_, err := secure.tcp.Write([]byte("bytes for nobody"))
				check(t, err)
			}
			check(t, secure.tcp.CloseWrite(), receiveAll(secure, answer))
		})
	}
}

// A side that goes on sending after its close_notify, and takes the answer slowly, gets all
// of it: longer than lingerTime is only too long without progress.
func TestSlowReaderAfterCloseNotify(t *testing.T) {
	leakCheck(t)
	const answer = 3 << 20
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, mode, nil)
			secure, plain := p.open(t)
			if mode == "client" {
				secure, plain = plain, secure
			}
			check(t, secure.tcp.SetReadBuffer(128<<10))
			check(t, send(secure, 1000), secure.CloseWrite(), receiveAll(plain, 1000))
			check(t, send(plain, answer), plain.CloseWrite())
			_ = secure.tcp.SetWriteDeadline(time.Now().Add(patience)) // crypto/tls has ended it
			slow := &pausingReader{r: &chatterer{secure}, tick: time.NewTicker(lingerTime / 20), until: time.Now().Add(5 * lingerTime / 2)}
			defer slow.tick.Stop()
			check(t, receiveAll(slow, answer))
		})
	}
}

// chatterer sends bytes for nobody while it reads.
type chatterer struct{ *end }

func (c *chatterer) Read(b []byte) (int, error) {
	if _, err := c.tcp.Write([]byte("bytes for nobody")); err != nil {
		return 0, err
	}
	return c.end.Read(b)
}
