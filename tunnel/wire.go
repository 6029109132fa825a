package tunnel

import (
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"slices"
	"sync"
	"time"

	"tlstunnel/internal/sock"
)

// maxFirst is how much of what came first is kept while there may be something to
// explain: a ClientHello up to the name that it asks for.
const maxFirst = 2 << 10

// wire is the TCP connection under a [tls.Conn]. It reads more of it at once than
// crypto/tls asks for.
type wire struct {
	*sock.Conn

	ahead  []byte // what was read and not yet asked for
	err    error  // why there will be no more
	noWait bool   // Read has only what is ahead

	handshake *handshaking // nil when it is over

	// What the reading goroutine has seen of the peer: crypto/tls reports a
	// bare FIN as it does a close_notify.
	received bool    // at least a byte
	first    []byte  // what came first, up to maxFirst; nil after the handshake
	finished bool    // its FIN
	tail     [7]byte // the last bytes that crypto/tls got in the handshake, as many as an alert has

	sent int // bytes, before any came

	// holdTicket is set during the handshake of a server, and ticket is what
	// Write held back then.
	holdTicket bool
	ticket     []byte

	sending  sync.Mutex  // guards what follows
	gathered *sock.Chunk // what is to be sent in one write, up to size; see gather
	size     int
	alert    bool  // an alert is what was sent last
	failed   error // why nothing more can be sent, since the handshake
}

func (w *wire) Read(b []byte) (int, error) {
	if w.handshake != nil {
		if err := w.handshake.await(w); err != nil {
			return 0, err
		}
		b = b[:min(len(b), w.handshake.clear)]
	} else if len(w.ahead) == 0 && w.err == nil && !w.noWait {
		if err := w.Receive(w.put); err != nil {
			w.end(err)
		}
	}
	if len(w.ahead) == 0 {
		if w.err != nil {
			return 0, w.err
		}
		return 0, errNothingYet
	}
	n := copy(b, w.ahead)
	if w.handshake != nil {
		w.handshake.clear -= n
	}
	if w.ahead = w.ahead[n:]; len(w.ahead) == 0 {
		w.ahead = nil
	}
	kept := copy(w.tail[:], w.tail[min(n, len(w.tail)):])
	copy(w.tail[kept:], b[max(0, n-len(w.tail)):n])
	return n, nil
}

// put makes b what Read gives at last. It keeps no chunk: a peer that hasn't proved
// anything yet may let us wait.
func (w *wire) put(c *sock.Chunk, b []byte) (more bool) {
	w.ahead, w.received = append(w.ahead, b...), true
	switch {
	case w.noWait || !w.handshake.isAtStart():
	case w.first == nil:
		w.first = slices.Clip(w.ahead[:min(len(b), maxFirst)]) // nobody writes there
	case len(w.first) < maxFirst:
		w.first = append(w.first, b[:min(len(b), maxFirst-len(w.first))]...)
	}
	c.Release()
	return false
}

// end makes err what Read says next.
func (w *wire) end(err error) { w.err, w.finished = err, err == io.EOF }

// errNothingYet is of the kind after which crypto/tls lets one read again.
var errNothingYet net.Error = nothingYet{}

type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing has come yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// Write keeps an error for flush once the handshake is over. If crypto/tls can't send its
// answer to a KeyUpdate, it doesn't take the peer's new key either, and so couldn't read
// what a peer that has left had sent before.
func (w *wire) Write(b []byte) (int, error) {
	w.handshake.endTurn()
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.failed != nil {
		return len(b), nil
	}
	n, err := w.write(b)
	w.alert = err == nil && isAlert(b[lastRecord(b):])
	if err != nil && w.noWait {
		w.failed = err
		return len(b), nil
	}
	return n, err
}

// write holds the session ticket of TLS 1.3 back until there are bytes to send.
// crypto/tls sends it along with the handshake. A client that sends its message
// and closes, as many do, has not read it then, and so its system resets the
// connection and throws away what it has not yet sent: the message.
func (w *wire) write(b []byte) (int, error) {
	if !w.received {
		w.sent += len(b)
	}
	if w.holdTicket {
		rest, ticket := cutTicket(b)
		w.ticket = append(w.ticket, ticket...)
		n, err := len(rest), error(nil)
		if n > 0 {
			n, err = w.Conn.Write(rest)
		}
		if err == nil {
			n = len(b)
		}
		return n, err
	}
	if w.gathered != nil {
		if w.size+len(b) > len(w.gathered.B) {
			if err := w.send(); err != nil {
				return 0, err
			}
		}
		w.size += copy(w.gathered.B[w.size:], b)
		return len(b), nil
	}
	if w.ticket == nil {
		return w.Conn.Write(b)
	}
	held := len(w.ticket)
	all := append(w.ticket, b...)
	w.ticket = nil
	n, err := w.Conn.Write(all)
	return max(0, n-held), err
}

// sendTicket sends the session ticket that Write holds back, if nothing else is being
// sent. All that the client has sent must have come.
func (w *wire) sendTicket() {
	if !w.sending.TryLock() {
		return
	}
	defer w.sending.Unlock()
	if w.ticket != nil && w.gathered == nil {
		_, _ = w.Conn.Write(w.ticket)
		w.ticket = nil
	}
}

// gather makes Write keep what it is given, of size bytes before encryption, until
// flush: crypto/tls writes each record by itself, and a system call costs more than
// a copy.
func (w *wire) gather(size int) {
	w.sending.Lock()
	defer w.sending.Unlock()
	w.gathered = sock.GetChunk(len(w.ticket) + size)
	w.size = copy(w.gathered.B, w.ticket)
	w.ticket = nil
}

// flush sends what was gathered, if anything. Its error may be that of an earlier Write.
func (w *wire) flush() error {
	w.sending.Lock()
	defer w.sending.Unlock()
	if w.gathered != nil {
		if w.failed == nil {
			w.failed = w.send()
		}
		w.gathered.Release()
		w.gathered = nil
	}
	return w.failed
}

func (w *wire) send() error {
	_, err := w.Conn.Write(w.gathered.B[:w.size])
	w.size, w.alert = 0, w.alert && err == nil
	return err
}

// sentAlert reports whether the last thing that the other end got is an alert.
func (w *wire) sentAlert() bool {
	w.sending.Lock()
	defer w.sending.Unlock()
	return w.alert
}

// isAlert reports whether a record is an alert. In TLS 1.3, where every encrypted
// record has a tag of 16 bytes, it may also be two bytes of application data.
func isAlert(record []byte) bool {
	const encrypted = recordHeader + 2 + 1 + 16 // with the true type
	return len(record) > 0 && (record[0] == recordAlert || record[0] == recordApplication && len(record) == encrypted)
}

// endsInAlert reports whether the last record of TLS in b is an alert: see isAlert.
func endsInAlert(b []byte) bool {
	for n := 2; n <= len(b)-recordHeader; n++ {
		record := b[len(b)-recordHeader-n:]
		if record[1] == 3 && int(binary.BigEndian.Uint16(record[3:])) == n {
			return isAlert(record)
		}
	}
	return false
}

// lastRecord is where the last TLS record of b begins.
func lastRecord(b []byte) (last int) {
	for at := 0; at+recordHeader <= len(b); {
		last = at
		at += recordHeader + int(binary.BigEndian.Uint16(b[at+3:]))
	}
	return last
}

// cutTicket cuts the last TLS record of b off if it must be a session ticket:
// one with encrypted content that is longer than a Finished message. That is the
// only other thing with which a server's part of the handshake of TLS 1.3 can
// end, but for an alert, which is shorter still (RFC 8446, sections 4.4.4, 4.6.1).
func cutTicket(b []byte) (rest, ticket []byte) {
	const finished = 4 + 48 + 1 + 16 // message header, SHA-384, content type, AEAD tag
	last := lastRecord(b)
	if len(b) > last && b[last] == recordApplication && len(b)-last > recordHeader+finished {
		return b[:last], b[last:]
	}
	return b, nil
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
