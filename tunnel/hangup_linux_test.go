package tunnel

import (
	"testing"
	"time"
)

// When the answer is complete, what a side sent after its close_notify may still be on its
// way. And the other side may read the answer slowly.
func TestLateBytesAfterCloseNotify(t *testing.T) {
	leakCheck(t)
	const answer = 1 << 20
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p, secure := answered(t, mode, answer)
			p.tunnels[0].logs.next(t, 0)
			for range 3 { // a reset answers the first write, and fails the second
				_, err := secure.tcp.Write([]byte("bytes for nobody"))
				check(t, err)
			}
			check(t, secure.tcp.CloseWrite(), receiveAll(secure, answer))
		})
	}
}

// A side goes on sending after its close_notify and reads the answer slowly. It gets all of
// the answer, because lingerTime ends a connection only if there is no progress.
func TestSlowReaderAfterCloseNotify(t *testing.T) {
	leakCheck(t)
	const answer = 3 << 20
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			_, secure := answered(t, mode, answer)
			slow := &pausingReader{r: &chatterer{secure}, tick: time.NewTicker(lingerTime / 20), until: time.Now().Add(5 * lingerTime / 2)}
			defer slow.tick.Stop()
			check(t, receiveAll(slow, answer))
		})
	}
}

// chatterer sends bytes that are read by no program, while it reads.
type chatterer struct{ *end }

func (c *chatterer) Read(b []byte) (int, error) {
	if _, err := c.tcp.Write([]byte("bytes for nobody")); err != nil {
		return 0, err
	}
	return c.end.Read(b)
}

// answered is a path whose side with TLS has ended its stream. The answer is on its way to that
// side, and larger than what its system takes. It can still write to its socket.
func answered(t *testing.T, mode string, answer int64) (p *path, secure *end) {
	t.Helper()
	p = newPath(t, mode, nil)
	secure, plain := p.open(t)
	if mode == "client" {
		secure, plain = plain, secure
	}
	check(t, secure.tcp.SetReadBuffer(128<<10))
	check(t, send(secure, 1000), secure.CloseWrite(), receiveAll(plain, 1000))
	check(t, send(plain, answer), plain.CloseWrite())
	_ = secure.tcp.SetWriteDeadline(time.Now().Add(patience)) // crypto/tls has ended it
	return p, secure
}
