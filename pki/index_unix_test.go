//go:build unix

package pki

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestIndexIsATrap: by what the owner of the folder puts in the place of the index, a reader
// can't be made to wait for ever or to use up all memory.
func TestIndexIsATrap(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set  func(file string) error
		want string
	}{
		"pipe":   {func(file string) error { return syscall.Mkfifo(file, 0o600) }, "isn't a regular file"},
		"device": {func(file string) error { return os.Symlink("/dev/zero", file) }, "isn't a regular file"},
		"folder": {func(file string) error { return os.Mkdir(file, 0o700) }, "it is a folder"},
		"huge": {func(file string) error {
			testkit.Check(t, os.WriteFile(file, nil, 0o600))
			return os.Truncate(file, 64<<30)
		}, "larger than 256 MiB"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			testkit.Check(t, tt.set(IndexFile(dir)))
			read := make(chan error, 1)
			go func() {
				_, err := ReadIndex(dir)
				read <- err
			}()
			select {
			case err := <-read:
				if err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %v, want %q", err, tt.want)
				}
			case <-time.After(10 * time.Second):
				t.Error("the index is still being read")
			}
		})
	}
}
