package tunnel

import (
	"crypto/tls"
	"testing"
)

// TestRecordBuffers is for the day when crypto/tls changes: the buffers of an idle
// connection would then cost 18 KiB again.
func TestRecordBuffers(t *testing.T) {
	r := recordsOf(new(tls.Conn))
	if r.raw == nil || r.input == nil {
		t.Fatal("crypto/tls has other buffers than records.go knows")
	}
	r.raw.WriteString("part of a record")
	r.lend()
	if r.lent != nil || r.raw.Len() == 0 {
		t.Error("a buffer was lent in place of one that has bytes")
	}
	r.raw.Reset()
	r.lend()
	r.raw.WriteString("part of a record")
	r.takeBack()
	if r.lent == nil || r.raw.Len() == 0 {
		t.Error("a buffer with bytes was taken back")
	}
	r.raw.Reset()
	r.takeBack()
	if r.lent != nil || r.raw.Cap() > 0 {
		t.Error("an empty buffer wasn't taken back")
	}
}
