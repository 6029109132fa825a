package tunnel

import (
	"testing"
	"time"
)

// What comes after a close_notify may still be on its way when the answer is
// complete, and the other side may be slow to take that.
func TestLateBytesAfterCloseNotify(t *testing.T) {
	leakCheck(t)
	const answer = 200 << 10
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel() // each waits for the small window of the other end
			p := newPath(t, mode, nil)
			secure, plain := p.open(t)
			if mode == "client" {
				secure, plain = plain, secure
			}
			check(t, secure.tcp.SetReadBuffer(4<<10))
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
