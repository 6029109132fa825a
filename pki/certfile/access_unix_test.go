//go:build unix

package certfile

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestAccessWarning: only the owner may read a key. If the owner is another account, such as
// root, its group may read it too.
func TestAccessWarning(t *testing.T) {
	const own, others = "run `chmod 600` on it, ", "run `chmod 640` on it, after a `chgrp` "
	for _, tt := range []struct {
		mode       fs.FileMode
		mine, root string // the advice, "" for no warning
	}{
		{0o600, "", ""},
		{0o400, "", ""},
		{0o640, own, ""},
		{0o660, own, others},
		{0o604, own, others},
		{0o644, own, others},
	} {
		file := writeFile(t, filepath.Join(t.TempDir(), "my.key"), nil)
		if err := os.Chmod(file, tt.mode); err != nil {
			t.Fatal(err)
		}
		check := func(advice string) {
			t.Helper()
			want := ""
			if advice != "" {
				want = `the key "` + file + `" is open to others, its mode being ` + fmt.Sprintf("%04o", tt.mode) + ": " + advice
			}
			if got := AccessWarning("key", file); !strings.HasPrefix(got, want) || (got == "") != (want == "") {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		}
		if os.Geteuid() != 0 {
			check(tt.mine)
			continue
		}
		check(tt.root)
		if err := os.Chown(file, 12345, -1); err != nil {
			t.Fatal(err)
		}
		check(tt.root)
	}
	if got := AccessWarning("key", filepath.Join(t.TempDir(), "none")); got != "" {
		t.Errorf("got %q for what isn't there", got)
	}
}
