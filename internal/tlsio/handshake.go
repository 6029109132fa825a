package tlsio

import (
	"crypto/tls"
	"encoding/binary"
)

// A Watch sees the messages of a handshake before crypto/tls does. crypto/tls has no hook
// between a message and what it does with that message. Both functions may be nil.
type Watch struct {
	// Wait is called before the handshake waits for the other end, to say something or
	// to take something. The end of the handshake isn't told.
	Wait func()

	// Record is called for each whole record, with the handshake messages in it, or the parts
	// of messages. begun is the part of the first one that came in records before. encrypted
	// says whether they were. messages is empty if the record holds something else, or if
	// this package doesn't know this crypto/tls: see [Conn.ShowsMessages]. An error ends the
	// handshake. If it comes with an alert, the other end is sent that.
	Record func(begun, messages []byte, encrypted bool) (alert tls.AlertError, err error)
}

func (w *Watch) wait() {
	if w.Wait != nil {
		w.Wait()
	}
}

// ShowsMessages reports whether [Watch].Record is given the messages.
func (c *Conn) ShowsMessages() bool { return c.internals.knowsHandshake() }

// handshake is what a transport has while a handshake is under way. It gives crypto/tls one
// record at a time, after the watch has seen it.
type handshake struct {
	watch     Watch
	internals *internals

	header  [RecordHeader]byte // of the record that comes
	payload int                // the length of that record, once its header is known
	clear   int                // how many bytes of ahead crypto/tls may read now
	records int                // whole ones that came
}

// awaitClear lets crypto/tls read the next header, or the whole payload of a record, and
// waits for it. At the end of the stream it lets through what there is. The header goes
// first: without TLS, its length field holds anything, and such a payload may never come.
func (h *handshake) awaitClear(t *transport) error {
	if h.clear > 0 {
		return nil
	}
	want := RecordHeader
	if h.payload > 0 {
		want = h.payload
	}
	for len(t.ahead) < want && t.readErr == nil {
		h.internals.releaseMessages()
		h.watch.wait()
		t.readAhead()
	}
	h.clear = min(want, len(t.ahead))
	switch {
	case h.clear < want:
		return nil
	case h.payload == 0:
		h.header = [RecordHeader]byte(t.ahead)
		h.payload = int(binary.BigEndian.Uint16(h.header[3:]))
		return nil
	}
	h.payload = 0
	h.records++
	return h.inspect(t, t.ahead[:want])
}

func (h *handshake) inspect(t *transport, payload []byte) error {
	if h.watch.Record == nil {
		return nil
	}
	messages, encrypted, free := h.internals.messages(h.header, payload)
	alert, err := h.watch.Record(h.internals.begun(), messages, encrypted)
	free()
	if err != nil && alert != 0 {
		if record := h.internals.alertRecord(alert); record != nil {
			_, _ = t.Write(record)
		}
	}
	return err
}

func (t *transport) awaitRecord() {
	for t.readErr == nil && !beginsWithRecord(t.ahead) {
		t.readAhead()
	}
}

// beginsWithRecord is true of what isn't TLS, too: that is for crypto/tls to say.
func beginsWithRecord(b []byte) bool {
	if len(b) < RecordHeader {
		return false
	}
	n := int(binary.BigEndian.Uint16(b[3:]))
	return b[0] != RecordHandshake || n > MaxRecord || len(b) >= RecordHeader+n
}
