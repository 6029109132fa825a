package pki

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
)

// BenchmarkIndex has 100,000 certificates in the index.
func BenchmarkIndex(b *testing.B) {
	dir := b.TempDir()
	var lines bytes.Buffer
	e := json.NewEncoder(&lines)
	for i := range 100_000 {
		if err := e.Encode(indexEvent{eventIssued, Issued{
			Serial: fmt.Sprintf("%032x", i), Name: fmt.Sprintf("modality-%d", i), Subject: fmt.Sprintf("CN=modality-%d", i),
			Issuer: strings.Repeat("ab", 20), NotBefore: now, NotAfter: now.AddDate(1, 0, 0),
		}}); err != nil {
			b.Fatal(err)
		}
	}
	if err := os.WriteFile(IndexFile(dir), lines.Bytes(), 0o600); err != nil {
		b.Fatal(err)
	}
	b.Run("append", func(b *testing.B) {
		i := 100_000
		for b.Loop() {
			i++
			if err := appendIndex(dir, indexEvent{eventIssued, Issued{Serial: fmt.Sprintf("%032x", i)}}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("read", func(b *testing.B) {
		for b.Loop() {
			if _, err := ReadIndex(dir); err != nil {
				b.Fatal(err)
			}
		}
	})
}
