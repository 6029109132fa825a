package sock

// reader waits with a small buffer, as Windows fills the one that a read began
// with.
type reader struct {
	small   [4 << 10]byte
	n       int   // bytes in small that weren't taken
	err     error // what came with them
	awaited bool  // n and err are from await
	pace    pace
}

// writer has no state.
type writer struct{}

func (*Conn) init() {}

// receive takes a chunk to wait with only where more can be expected at once.
func (c *Conn) receive(consume Consumer) error {
	r := &c.reader
	for {
		if !r.awaited {
			c.await()
		}
		r.awaited = false
		if r.n == 0 {
			return r.err
		}
		chunk := GetChunk(SmallChunk)
		n := copy(chunk.B, r.small[:r.n])
		for full := n == len(r.small); ; full = n == chunk.Size() {
			if !r.pace.pass(consume, chunk, n) {
				return nil
			}
			if !full {
				break
			}
			var err error
			chunk = GetChunk(r.pace.next())
			if n, err = c.tcp.Read(chunk.B[:chunk.Size()]); n == 0 {
				chunk.Release()
				return err
			}
		}
	}
}

// await waits until there is something to receive, be it an error.
func (c *Conn) await() {
	c.reader.n, c.reader.err = c.tcp.Read(c.reader.small[:])
	c.reader.awaited = true
}

func (writer) write(c *Conn, b []byte) (int, error) { return c.tcp.Write(b) }
