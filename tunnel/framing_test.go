package tunnel

import (
	"bytes"
	"testing"
)

// TestFraming cuts a stream of records that comes in pieces of every size.
func TestFraming(t *testing.T) {
	record := func(n int) []byte {
		return append([]byte{23, 3, 3, byte(n >> 8), byte(n)}, bytes.Repeat([]byte{1}, n)...)
	}
	var stream []byte
	ends := map[int]bool{}
	for _, n := range []int{0, 1, 300, 5, 0, 17} {
		stream = append(stream, record(n)...)
		ends[len(stream)] = true
	}
	for piece := 1; piece <= len(stream); piece++ {
		var f framing
		seen := map[int]bool{}
		for at := 0; at < len(stream); {
			n := f.cut(stream[at:min(at+piece, len(stream))])
			for end := range ends {
				if at < end && end < at+n {
					t.Fatalf("in pieces of %d: %d bytes at %d go beyond the record that ends at %d", piece, n, at, end)
				}
			}
			at += n
			seen[at] = true
		}
		for end := range ends {
			if !seen[end] {
				t.Fatalf("in pieces of %d: no cut at %d", piece, end)
			}
		}
	}
}
