package tunnel

import "net"

// source is a TCP connection, read and written as suits this system best.
type source struct {
	*net.TCPConn
	reading reading
	writing writing
}

// receive waits until there are bytes, and only then takes a chunk for them. The
// caller gives it back. It isn't for several goroutines at once.
func (s *source) receive() (c *chunk, n int, err error) { return s.reading.read(s.TCPConn) }

// Write isn't for several goroutines at once.
func (s *source) Write(b []byte) (int, error) { return s.writing.write(s.TCPConn, b) }
