//go:build !unix

package tunnel

import "net"

// reading has no state where a read can't be tried without waiting.
type reading struct{}

// read holds its chunk while it waits.
func (reading) read(conn *net.TCPConn) (*chunk, int, error) {
	c := chunks.Get().(*chunk)
	n, err := conn.Read(c[:chunkSize])
	if n == 0 {
		chunks.Put(c)
		return nil, 0, err
	}
	return c, n, err
}

// writing has no state either.
type writing struct{}

func (writing) write(conn *net.TCPConn, b []byte) (int, error) { return conn.Write(b) }
