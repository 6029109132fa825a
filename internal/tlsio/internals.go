//go:build go1.26 && !go1.28 && !plaintls

package tlsio

import (
	"bytes"
	"crypto/cipher"
	"crypto/tls"
	"reflect"

	"tlstunnel/internal/sock"
)

// internals are fields of a [tls.Conn] that it doesn't export. They are used behind its
// back, to give its buffers back while it is idle, and to see the messages of a
// handshake before it verifies them. Someone has read crypto/tls of the Go versions above
// for this. With any other version, or with the build tag plaintls, internals_plain.go
// stands in: idle connections then hold more memory, and handshakes aren't looked into.
//
// The invariants of crypto/tls that this file relies on. Check each of them before you add a Go
// version to the build line:
//
//   - Conn.rawInput is a bytes.Buffer. It holds what was read from the transport and not yet
//     taken as a record, and what Conn.input points to. Only Read, Handshake and what
//     they call touch it, with Conn.in locked, or during the handshake.
//   - Conn.input is a bytes.Reader of the plaintext of the last record, in the memory of
//     rawInput. When Read has returned an error of the transport, it is empty.
//   - Nothing else points into the memory of rawInput between two calls of Read: a
//     handshake message is copied to Conn.hand.
//   - crypto/tls starts no goroutine that outlives a call. A Write, which may run at the same
//     time, touches neither of the two.
//   - Conn.hand is a bytes.Buffer of the handshake messages that have come and weren't taken
//     yet. When a record is read in a handshake, that is the first part of one message, but
//     for an other end that breaks the protocol. A message that is whole is copied.
//   - Conn.in and Conn.out are of type halfConn. Its cipher is an any, nil until a key is
//     in use, and for TLS 1.3 a cipher.AEAD (with a NonceSize of 8, since it XORs
//     the rest). Its seq is the [8]byte number of the next record. The handshake
//     reads from the transport with Conn.in locked, and in the goroutine that sets both.
//
// A field that has another type counts as one that isn't there; a test is for that day.
type internals struct {
	rawInput *bytes.Buffer
	input    *bytes.Reader
	hand     *bytes.Buffer
	in, out  halfConn
}

// halfConn is what crypto/tls encrypts with, or decrypts with.
type halfConn struct {
	cipher *any
	seq    *[8]byte
}

// internalsOf may be called until the handshake of c begins.
func internalsOf(c *tls.Conn) internals {
	half := func(name string) halfConn {
		return halfConn{field[any](c, name, "cipher"), field[[8]byte](c, name, "seq")}
	}
	return internals{
		rawInput: field[bytes.Buffer](c, "rawInput"),
		input:    field[bytes.Reader](c, "input"),
		hand:     field[bytes.Buffer](c, "hand"),
		in:       half("in"), out: half("out"),
	}
}

// field is the address of a field of c, nil if there is none of that type. Of a field
// within another, path has the names of both.
func field[T any](c *tls.Conn, path ...string) *T {
	f := reflect.ValueOf(c).Elem()
	for _, name := range path {
		if f = f.FieldByName(name); !f.IsValid() {
			return nil
		}
	}
	if f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(f.Addr().UnsafePointer())
}

func (i *internals) knowsBuffers() bool { return i.rawInput != nil && i.input != nil }

func (i *internals) knowsHandshake() bool {
	return i.hand != nil && i.in.cipher != nil && i.in.seq != nil && i.out.cipher != nil && i.out.seq != nil
}

// areEmpty reports whether no more can be read without the transport.
func (i *internals) areEmpty() bool {
	return i.knowsBuffers() && i.rawInput.Len() == 0 && i.input.Len() == 0
}

// releaseBuffers leaves crypto/tls with what it needs to go on: a part of a record, if
// that is all that has come.
func (i *internals) releaseBuffers() {
	if !i.knowsBuffers() || i.input.Len() > 0 {
		return
	}
	*i.rawInput = *bytes.NewBuffer(bytes.Clone(i.rawInput.Bytes()))
	i.input.Reset(nil)
}

// aead is for TLS 1.3, once there are keys.
func (h *halfConn) aead() (aead cipher.AEAD, ok bool) {
	aead, ok = (*h.cipher).(cipher.AEAD)
	return aead, ok && aead.NonceSize() == len(h.seq)
}

// begun is the part of a handshake message that came in records before.
func (i *internals) begun() []byte {
	if i.hand == nil {
		return nil
	}
	return i.hand.Bytes()
}

// releaseMessages gives back what messages took that crypto/tls is done with.
func (i *internals) releaseMessages() {
	if i.hand != nil && i.hand.Len() == 0 {
		*i.hand = bytes.Buffer{}
	}
}

// messages are the handshake messages in a record. crypto/tls must be done with all
// those before. The caller must call free, after which they are no more.
func (i *internals) messages(header [RecordHeader]byte, payload []byte) (said []byte, encrypted bool, free func()) {
	free = func() {}
	if !i.knowsHandshake() {
		return nil, false, free
	}
	encrypted = *i.in.cipher != nil
	switch {
	case header[0] == RecordHandshake && !encrypted:
		said = payload
	case header[0] == RecordApplication && encrypted:
		c := sock.GetChunk(len(payload))
		said, free = i.decrypt(c.B[:0], header, payload), c.Release
	}
	return said, encrypted, free
}

// decrypt gives the handshake messages in a record of TLS 1.3 (RFC 8446, section 5.2),
// nil if there are none. A record that can't be decrypted is for crypto/tls to refuse.
func (i *internals) decrypt(to []byte, header [RecordHeader]byte, payload []byte) []byte {
	aead, ok := i.in.aead()
	if !ok {
		return nil
	}
	plain, err := aead.Open(to, i.in.seq[:], payload, header[:])
	if err != nil {
		return nil
	}
	plain = bytes.TrimRight(plain, "\x00") // padding
	if len(plain) == 0 || plain[len(plain)-1] != RecordHandshake {
		return nil
	}
	return plain[:len(plain)-1]
}

// alertRecord is a fatal alert as crypto/tls sends them, which doesn't know of this one. It
// is nil if none can be made.
func (i *internals) alertRecord(alert tls.AlertError) []byte {
	const fatal = 2
	if !i.knowsHandshake() {
		return nil
	}
	if *i.out.cipher == nil {
		return []byte{RecordAlert, 3, 3, 0, 2, fatal, byte(alert)}
	}
	aead, ok := i.out.aead()
	if !ok {
		return nil
	}
	inner := []byte{fatal, byte(alert), RecordAlert}
	header := []byte{RecordApplication, 3, 3, 0, byte(len(inner) + aead.Overhead())}
	return aead.Seal(header, i.out.seq[:], inner, header)
}
