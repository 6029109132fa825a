package tlsio

import (
	"bytes"
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

// transport is what crypto/tls has for a connection: what it reads from and writes to.
type transport struct {
	*sock.Conn

	ahead       []byte // what was read and not yet asked for
	readErr     error  // why there will be no more
	established bool   // the handshake is over: Read has only what is ahead

	handshake *handshake // nil when it is over, or hasn't begun

	// What the reading goroutine knows of the other end.
	received bool    // at least a byte, in the handshake
	fin      bool    // the end of its stream was a FIN
	first    []byte  // what came first, up to maxFirst
	tail     [7]byte // the last bytes that crypto/tls got, as many as an alert has

	sentFirst int // bytes, before any came

	// holdsTicket is set during the handshake of a server, and ticket is what
	// Write held back then.
	holdsTicket bool
	ticket      []byte

	sending  sync.Mutex  // guards what follows
	gathered *sock.Chunk // what is to be sent in one write, up to size; see gather
	size     int
	alert    bool  // an alert is what was sent last
	writeErr error // why nothing more can be sent, since the handshake
}

func (t *transport) Read(b []byte) (int, error) {
	if t.handshake != nil {
		if err := t.handshake.awaitClear(t); err != nil {
			return 0, err
		}
		b = b[:min(len(b), t.handshake.clear)]
	}
	if len(t.ahead) == 0 {
		if t.readErr != nil {
			return 0, t.readErr
		}
		return 0, errNothingYet
	}
	n := copy(b, t.ahead)
	if t.handshake != nil {
		t.handshake.clear -= n
	}
	if t.ahead = t.ahead[n:]; len(t.ahead) == 0 {
		t.ahead = nil
	}
	kept := copy(t.tail[:], t.tail[min(n, len(t.tail)):])
	copy(t.tail[kept:], b[max(0, n-len(t.tail)):n])
	return n, nil
}

// readAhead waits for more, in a handshake.
func (t *transport) readAhead() {
	if err := t.Receive(t.keep); err != nil {
		t.end(err)
	}
}

// keep makes b what Read gives at last. It keeps no chunk: another end that hasn't proved
// anything yet may let us wait.
func (t *transport) keep(c *sock.Chunk, b []byte) (more bool) {
	t.ahead, t.received = append(t.ahead, b...), true
	switch {
	case t.handshake != nil && t.handshake.records > 0:
	case t.first == nil:
		t.first = slices.Clip(t.ahead[:min(len(b), maxFirst)]) // nobody writes there
	case len(t.first) < maxFirst:
		t.first = append(t.first, b[:min(len(b), maxFirst-len(t.first))]...)
	}
	c.Release()
	return false
}

// end makes err what Read says next.
func (t *transport) end(err error) { t.readErr, t.fin = err, err == io.EOF }

// errNothingYet is of the kind after which crypto/tls lets its caller read again.
var errNothingYet net.Error = nothingYet{}

type nothingYet struct{}

func (nothingYet) Error() string   { return "nothing has come yet" }
func (nothingYet) Timeout() bool   { return true }
func (nothingYet) Temporary() bool { return true }

// Write keeps an error for flush once the handshake is over. If crypto/tls can't send its
// answer to a KeyUpdate, it doesn't take the other end's new key either, and so couldn't read
// what an end that has left had sent before.
func (t *transport) Write(b []byte) (int, error) {
	if t.handshake != nil {
		t.handshake.watch.wait()
	}
	t.sending.Lock()
	defer t.sending.Unlock()
	if t.writeErr != nil {
		return len(b), nil
	}
	n, err := t.write(b)
	t.alert = err == nil && isAlert(b[lastRecord(b):])
	if err != nil && t.established {
		t.writeErr = err
		return len(b), nil
	}
	return n, err
}

// write holds the session ticket of TLS 1.3 back until there are bytes to send.
// crypto/tls sends it along with the handshake. A client that sends its message
// and closes, as many do, has not read it then, and so its system resets the
// connection and throws away what it has not yet sent: the message.
func (t *transport) write(b []byte) (int, error) {
	if !t.received {
		t.sentFirst += len(b)
	}
	if t.holdsTicket {
		rest, ticket := cutTicket(b)
		t.ticket = append(t.ticket, ticket...)
		n, err := len(rest), error(nil)
		if n > 0 {
			n, err = t.Conn.Write(rest)
		}
		if err == nil {
			n = len(b)
		}
		return n, err
	}
	if t.gathered != nil {
		if t.size+len(b) > len(t.gathered.B) {
			if err := t.send(); err != nil {
				return 0, err
			}
		}
		t.size += copy(t.gathered.B[t.size:], b)
		return len(b), nil
	}
	if t.ticket == nil {
		return t.Conn.Write(b)
	}
	held := len(t.ticket)
	all := append(t.ticket, b...)
	t.ticket = nil
	n, err := t.Conn.Write(all)
	return max(0, n-held), err
}

func (t *transport) sendTicket() {
	if !t.sending.TryLock() {
		return
	}
	defer t.sending.Unlock()
	if t.ticket != nil && t.gathered == nil {
		_, _ = t.Conn.Write(t.ticket)
		t.ticket = nil
	}
}

// gather makes Write keep what it is given, of size bytes before encryption, until
// flush: crypto/tls writes each record by itself, and a system call costs more than
// a copy.
func (t *transport) gather(size int) {
	t.sending.Lock()
	defer t.sending.Unlock()
	t.gathered = sock.GetChunk(len(t.ticket) + size)
	t.size = copy(t.gathered.B, t.ticket)
	t.ticket = nil
}

// flush sends what was gathered, if anything. Its error may be that of an earlier Write.
func (t *transport) flush() error {
	t.sending.Lock()
	defer t.sending.Unlock()
	if t.gathered != nil {
		if t.writeErr == nil {
			t.writeErr = t.send()
		}
		t.gathered.Release()
		t.gathered = nil
	}
	return t.writeErr
}

func (t *transport) send() error {
	_, err := t.Conn.Write(t.gathered.B[:t.size])
	t.size, t.alert = 0, t.alert && err == nil
	return err
}

func (t *transport) sentAlert() bool {
	t.sending.Lock()
	defer t.sending.Unlock()
	return t.alert
}

// SetWriteDeadline does nothing. crypto/tls gives a close_notify five seconds,
// and an end that reads slowly would lose its end of stream to them; how long a
// connection may make no progress is the business of the socket's owner.
func (t *transport) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline does nothing, for the same reason; nobody calls it.
func (t *transport) SetDeadline(time.Time) error { return nil }

func (t *transport) plainAlert() (code uint8, ok bool) {
	return t.tail[6], bytes.HasPrefix(t.tail[:], []byte{RecordAlert, 3, 3, 0, 2})
}
