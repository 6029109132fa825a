package tunnel

import (
	"bytes"
	"io"
	"net"
	"time"
)

// wire is the TCP connection under a [tls.Conn].
type wire struct {
	*net.TCPConn

	// What the reading goroutine has seen of the peer: crypto/tls reports a
	// bare FIN as it does a close_notify.
	received bool    // at least a byte
	finished bool    // its FIN
	tail     [7]byte // the last bytes, as many as an alert has
}

func (w *wire) Read(b []byte) (int, error) {
	n, err := w.TCPConn.Read(b)
	w.received = w.received || n > 0
	w.finished = w.finished || err == io.EOF
	kept := copy(w.tail[:], w.tail[min(n, len(w.tail)):])
	copy(w.tail[kept:], b[max(0, n-len(w.tail)):n])
	return n, err
}

// SetWriteDeadline does nothing. crypto/tls gives a close_notify five seconds,
// and a peer that reads slowly would lose its end of stream to them; how long a
// connection may make no progress is the business of relay.
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing, for the same reason; nobody calls it.
func (w *wire) SetDeadline(time.Time) error { return nil }

// plainAlert is the alert that the peer sent last, if it sent it unencrypted. An
// OpenSSL client that refuses our certificate does so even in TLS 1.3, where
// crypto/tls says "bad record MAC" of it (https://go.dev/issue/76767).
func (w *wire) plainAlert() (code uint8, ok bool) {
	return w.tail[6], bytes.HasPrefix(w.tail[:], []byte{21, 3, 3, 0, 2})
}
