//go:build go1.26 && !go1.28 && !plaintls

package tlsio

import (
	"crypto/tls"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestInternals fails when crypto/tls changes. Without internals, the buffers of an idle
// connection cost 18 KiB more, and tlsio can't look into handshakes.
func TestInternals(t *testing.T) {
	i := internalsOf(new(tls.Conn))
	if !i.knowsBuffers() {
		t.Error("crypto/tls has other buffers than internals.go knows")
	}
	if !i.knowsHandshake() {
		t.Error("crypto/tls has other messages or keys than internals.go knows")
	}
}

// An idle connection has no buffer, or one no larger than the part of a record that came.
func TestReleaseBuffers(t *testing.T) {
	for _, version := range versions {
		theirs, wire, ours := connect(t, version, Watch{})
		wire.keep = true
		_, err := theirs.Write(make([]byte, 1000))
		testkit.Check(t, err)
		half := len(wire.kept) / 2
		memoryAfter := func(piece []byte) int {
			_, err := wire.TCPConn.Write(piece)
			testkit.Check(t, err)
			_, err = receiveWhatCame(t, ours)
			testkit.Check(t, err)
			ours.ReleaseBuffers()
			return ours.internals.rawInput.Cap()
		}
		if n := memoryAfter(wire.kept[:half]); n < half || n > 2*half {
			t.Errorf("for a part of %d bytes, there are %d", half, n)
		}
		if n := memoryAfter(wire.kept[half:]); n > 0 {
			t.Errorf("between two records, there are %d bytes", n)
		}
	}
}
