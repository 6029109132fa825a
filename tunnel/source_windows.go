package tunnel

import "net"

// reading waits with a small buffer, as Windows fills the one that a read began
// with.
type reading struct {
	small [4 << 10]byte
	more  bool // the last read was as large as it could be
}

// read takes a chunk to wait with only where more can be expected at once.
func (r *reading) read(conn *net.TCPConn) (c *chunk, n int, err error) {
	if r.more {
		c = chunks.Get().(*chunk)
		n, err = conn.Read(c[:chunkSize])
		r.more = n == chunkSize
	} else if n, err = conn.Read(r.small[:]); n > 0 {
		c = chunks.Get().(*chunk)
		copy(c[:], r.small[:n])
		r.more = n == len(r.small)
	}
	if n == 0 && c != nil {
		chunks.Put(c)
		c = nil
	}
	return c, n, err
}

// writing has no state.
type writing struct{}

func (writing) write(conn *net.TCPConn, b []byte) (int, error) { return conn.Write(b) }
