package tunnel

import "net"

// reading waits with a small buffer, as Windows fills the one that a read began
// with.
type reading struct {
	small   [4 << 10]byte
	n       int   // bytes in small that weren't taken
	err     error // what came with them
	awaited bool  // n and err are from await
	pace    pace
}

// receive takes a chunk to wait with only where more can be expected at once.
func (r *reading) receive(conn *net.TCPConn, take taker) error {
	for {
		if !r.awaited {
			r.await(conn)
		}
		r.awaited = false
		if r.n == 0 {
			return r.err
		}
		c := takeChunk(smallChunk)
		n := copy(c.b[headroom:], r.small[:r.n])
		for full := n == len(r.small); ; full = n == c.size() {
			if !r.pace.take(take, c, n) {
				return nil
			}
			if !full {
				break
			}
			var err error
			c = takeChunk(r.pace.next())
			if n, err = conn.Read(c.b[headroom:]); n == 0 {
				c.giveBack()
				return err
			}
		}
	}
}

// await waits until there is something to receive, be it an error.
func (r *reading) await(conn *net.TCPConn) {
	r.n, r.err = conn.Read(r.small[:])
	r.awaited = true
}

// writing has no state.
type writing struct{}

func (writing) write(conn *net.TCPConn, b []byte) (int, error) { return conn.Write(b) }
