//go:build unix

package pki

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// What root installs in the config's folder, the account of the service can read, and no
// other account.
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
