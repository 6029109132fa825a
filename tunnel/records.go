package tunnel

import (
	"bytes"
	"crypto/tls"
	"reflect"

	"tlstunnel/internal/sock"
)

// records are the buffers in which a [tls.Conn] decrypts. It would copy what it
// reads into a buffer that grows to the largest record that it ever needed, and is
// kept for as long as it lives. Here it decrypts in the memory into which the bytes
// were read, and has none while it waits. crypto/tls has no way to ask for that, so
// it is done behind its back, between two of its calls.
//
// A crypto/tls without these fields reads as any other does.
type records struct {
	raw   *bytes.Buffer // what has come
	input *bytes.Reader // what is decrypted of it, in the same memory
	lent  *sock.Chunk   // the memory of both
	part  []byte        // of a record, that came last
}

// recordsOf may be called between two calls of c.
func recordsOf(c *tls.Conn) records {
	return records{raw: field[bytes.Buffer](c, "rawInput"), input: field[bytes.Reader](c, "input")}
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

// lend makes b, which c has behind its sock.Headroom, what is decrypted next.
func (r *records) lend(c *sock.Chunk, b []byte) (ok bool) {
	if r.raw == nil || r.input == nil {
		return false
	}
	all := c.B[sock.Headroom-len(r.part) : sock.Headroom+len(b)]
	copy(all, r.part)
	r.part = r.part[:0]
	*r.raw, r.lent = *bytes.NewBuffer(all), c
	return true
}

// takeBack is for when all that can be decrypted has been read.
func (r *records) takeBack() {
	if r.raw == nil || r.input == nil {
		return
	}
	if r.part = append(r.part, r.raw.Bytes()...); len(r.part) == 0 {
		r.part = nil
	}
	*r.raw = bytes.Buffer{}
	r.input.Reset(nil)
	if r.lent != nil {
		r.lent.Release()
		r.lent = nil
	}
}
