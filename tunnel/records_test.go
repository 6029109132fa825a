package tunnel

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"testing"
	"tlstunnel/internal/sock"
)

// TestRecordBuffers is for the day when crypto/tls changes: the buffers of an idle
// connection would then cost 18 KiB again.
func TestRecordBuffers(t *testing.T) {
	r := recordsOf(new(tls.Conn))
	if r.raw == nil || r.input == nil {
		t.Fatal("crypto/tls has other buffers than records.go knows")
	}
	for _, part := range []string{"part of", " a record"} {
		c := sock.GetChunk(sock.SmallChunk)
		if !r.lend(c, c.B[sock.Headroom:sock.Headroom+copy(c.B[sock.Headroom:], part)]) {
			t.Fatal("nothing was lent")
		}
		if part == " a record" && r.raw.String() != "part of a record" {
			t.Errorf("crypto/tls got %q", r.raw)
		}
		r.takeBack()
		if r.raw.Cap() > 0 || r.lent != nil {
			t.Error("the memory wasn't taken back")
		}
	}
	r.lend(sock.GetChunk(sock.SmallChunk), nil)
	r.raw.Next(len("part of a record"))
	r.takeBack()
	if r.part != nil {
		t.Error("the memory of a part that is done with is kept")
	}
}

// TestWithoutRecords is what becomes of a crypto/tls with other buffers: it copies
// more, and that is all.
func TestWithoutRecords(t *testing.T) {
	leakCheck(t)
	peer, accepted := connect(t)
	s := newSide(asSock(t, accepted), byPeer)
	s.wire = &wire{Conn: s.socket}
	ours := tls.Server(s.wire, serverTLS())
	check(t, together(ours.Handshake, func() error { return peer.secure(tls.Client, clientTLS()) }))
	s.stream, s.wire.noWait = ours, true

	const n = 10 << 20
	var got bytes.Buffer
	check(t, together(
		func() error { return errors.Join(send(peer, n), peer.CloseWrite()) },
		func() error {
			err := s.receive(func(c *sock.Chunk, b []byte) bool {
				got.Write(b)
				c.Release()
				return true
			})
			if err != io.EOF {
				return fmt.Errorf("got %v, want the end of the stream", err)
			}
			return receiveAll(&got, n)
		}))
}
