//go:build unix

package pki

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestAccessWarning: nobody but the owner may read a key, and the group of another
// owner, as which root counts.
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

// What root installs in the folder of the config, the service's account can read, and
// nobody else.
func TestInstallForService(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a folder for a group")
	}
	const group = 12345
	for _, test := range []struct {
		name string
		mode os.FileMode // of the folder
		gid  int
		want os.FileMode // of the key
	}{
		{"the service's group", 0o750, group, 0o640},
		{"everybody", 0o755, group, 0o600},
		{"its owner", 0o700, group, 0o600},
		{"root's group", 0o750, 0, 0o600},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := newCompany(t)
			if err := os.Chmod(c.dir, test.mode); err != nil {
				t.Fatal(err)
			}
			if err := os.Chown(c.dir, 0, test.gid); err != nil {
				t.Fatal(err)
			}
			in, err := PrepareInstall(Source{File: filepath.Join(c.dir, "leaf.crt")}, c.place(), now)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := in.Install(t.Context(), c.dir); err != nil {
				t.Fatal(err)
			}
			info, err := os.Stat(c.place().KeyFile)
			if err != nil {
				t.Fatal(err)
			}
			if got, gid := info.Mode().Perm(), info.Sys().(*syscall.Stat_t).Gid; got != test.want || gid != uint32(test.gid) {
				t.Errorf("got %v of group %d, want %v of %d", got, gid, test.want, test.gid)
			}
		})
	}
}
