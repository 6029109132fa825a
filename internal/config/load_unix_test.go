//go:build unix

package config

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A FIFO has no end as long as no program writes into it. If a reload read it, the service
// would neither answer nor stop.
func TestLoadFIFO(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config.toml")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{file, "/dev/zero"} {
		if _, _, err := Load(file); err == nil || !strings.HasSuffix(err.Error(), "it isn't a regular file") {
			t.Errorf("Load(%q): got %v", file, err)
		}
	}
}
