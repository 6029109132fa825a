package tunnel

import (
	"bytes"
	"crypto/tls"
	"reflect"
	"sync"
)

// records are the buffers in which a [tls.Conn] decrypts. It keeps the largest
// that it ever needed, 18 KiB after a full record, for as long as it lives. Here
// it is lent one while there is something to decrypt. crypto/tls has no way to ask
// for that, so it is done behind its back, between two of its calls: then nothing
// is in its buffers, as wire gives it whole records, unless a record came in part
// or was more than its reader had room for.
//
// A crypto/tls without these fields keeps its buffers.
type records struct {
	raw   *bytes.Buffer // what has come
	input *bytes.Reader // what is decrypted of it, in the same memory
	lent  *bytes.Buffer // to be given back; nothing is in it until then
}

var lendable = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// recordsOf may be called between two calls of c.
func recordsOf(c *tls.Conn) records {
	return records{raw: field[bytes.Buffer](c, "rawInput"), input: field[bytes.Reader](c, "input")}
}

// field is the address of a field of c, nil if there is none of that type.
func field[T any](c *tls.Conn, name string) *T {
	f := reflect.ValueOf(c).Elem().FieldByName(name)
	if !f.IsValid() || f.Type() != reflect.TypeFor[T]() {
		return nil
	}
	return (*T)(f.Addr().UnsafePointer())
}

// lend is for before a read.
func (r *records) lend() {
	if r.raw == nil || r.input == nil || r.lent != nil || r.raw.Len()+r.input.Len() > 0 {
		return
	}
	r.lent = lendable.Get().(*bytes.Buffer)
	*r.raw, *r.lent = *r.lent, bytes.Buffer{}
}

// takeBack is for after it.
func (r *records) takeBack() {
	if r.lent == nil || r.raw.Len()+r.input.Len() > 0 {
		return
	}
	*r.lent, *r.raw = *r.raw, bytes.Buffer{}
	r.input.Reset(nil)
	lendable.Put(r.lent)
	r.lent = nil
}
