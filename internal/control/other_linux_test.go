package control

import (
	"os"
	"path/filepath"
	"testing"

	"tlstunnel/internal/filerights"
	"tlstunnel/internal/testkit"
)

// TestMayBeOthersHidden: there may be a socket in a folder of the config's owner that this
// user can't enter.
func TestMayBeOthersHidden(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const owner = 54321
	temp := testkit.ShortTempDir(t)
	testkit.Check(t, os.Chmod(temp, 0o755))
	t.Setenv("TMPDIR", temp)
	t.Setenv("RUNTIME_DIRECTORY", testkit.ShortTempDir(t))
	file, dir := filepath.Join(temp, "c.toml"), filepath.Join(temp, "tlstunnel-54321")
	testkit.Check(t, os.WriteFile(file, nil, 0o644))
	testkit.Check(t, os.Chown(file, owner, owner))
	asStranger := func() (others bool) {
		testkit.Check(t, filerights.As(filerights.User{UID: 12345, GID: 12345}, func() error {
			others = MayBeOthers(file)
			return nil
		}))
		return others
	}
	if asStranger() {
		t.Error("its owner runs nothing")
	}
	testkit.Check(t, os.Mkdir(dir, 0o700))
	testkit.Check(t, os.Chown(dir, owner, owner))
	if !asStranger() {
		t.Error("its owner may run it, and counts for nothing")
	}
}
