package tunnel

import (
	"io"
	"net"
	"time"
)

// wire is the TCP connection under a [tls.Conn].
type wire struct {
	*net.TCPConn

	// What the reading goroutine has seen of the peer: crypto/tls reports a
	// bare FIN as it does a close_notify.
	received bool // at least a byte
	finished bool // its FIN
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.TCPConn.Read(b)
	w.received = w.received || n > 0
	w.finished = w.finished || err == io.EOF
	return n, err
}

// SetWriteDeadline does nothing. crypto/tls gives a close_notify five seconds,
// and a peer that reads slowly would lose its end of stream to them; how long a
// connection may make no progress is the business of relay.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing, for the same reason; nobody calls it.
func (w *wire) SetDeadline(time.Time) error { return nil }
