package filerights

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tlstunnel/internal/testkit"
)

var stranger = User{UID: 4711, GID: 4712}

// folder makes a folder that belongs to u, below one through which every user may pass.
func folder(t *testing.T, u User) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can work as another user")
	}
	top := t.TempDir()
	for dir := top; dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		check(t, os.Chmod(dir, 0o755))
	}
	dir := filepath.Join(top, "theirs")
	check(t, os.Mkdir(dir, 0o700))
	check(t, os.Chown(dir, u.UID, u.GID))
	return dir
}

var check = testkit.Check

func ownerNow(t *testing.T, path string) User {
	t.Helper()
	info, err := os.Lstat(path)
	check(t, err)
	st := info.Sys().(*syscall.Stat_t)
	return User{UID: int(st.Uid), GID: int(st.Gid)}
}

func same(a, b User) bool { return a.UID == b.UID && a.GID == b.GID }

func TestAsOwner(t *testing.T) {
	dir := folder(t, stranger)
	made := filepath.Join(dir, "made")
	check(t, AsOwner(made, func() error { return os.WriteFile(made, nil, 0o600) }))
	if got := ownerNow(t, made); !same(got, stranger) {
		t.Errorf("what was made there belongs to %v", got)
	}
	// Root's own file, by its name, by a symlink and by a hard link.
	secret := filepath.Join(filepath.Dir(dir), "secret")
	check(t, os.WriteFile(secret, []byte("secret"), 0o600))
	link, hard := filepath.Join(dir, "link"), filepath.Join(dir, "hard")
	check(t, os.Symlink(secret, link))
	check(t, os.Lchown(link, stranger.UID, stranger.GID))
	check(t, os.Link(secret, hard))
	for _, path := range []string{link, hard} {
		err := AsOwner(path, func() error { return os.WriteFile(path, nil, 0o600) })
		if !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: writing gave %v", path, err)
		}
		if err := AsOwner(path, func() error { _, err := os.ReadFile(path); return err }); !errors.Is(err, fs.ErrPermission) {
			t.Errorf("%s: reading gave %v", path, err)
		}
	}
	// Work as root inside work as another user leaves no rights behind.
	check(t, AsOwner(dir, func() error {
		return AsOwner(secret, func() error { _, err := os.ReadFile(secret); return err })
	}))
	for range 50 {
		if _, err := os.ReadFile(secret); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOwnerOf(t *testing.T) {
	dir := folder(t, stranger)
	top := filepath.Dir(dir)
	check(t, os.Mkdir(filepath.Join(dir, "roots"), 0o700))
	for link, target := range map[string]string{
		"by-root":     "theirs",
		"by-root-abs": dir,
		"by-root-far": "by-root/../theirs/new",
		"loop":        "loop",
		"theirs/out":  top,
		"theirs/lost": "nowhere",
		"theirs/root": top,
	} {
		check(t, os.Symlink(target, filepath.Join(top, link)))
	}
	check(t, os.WriteFile(filepath.Join(top, "file"), nil, 0o600))
	check(t, os.Chown(filepath.Join(top, "file"), stranger.UID, stranger.GID))
	for _, link := range []string{"out", "lost"} {
		check(t, os.Lchown(filepath.Join(dir, link), stranger.UID, stranger.GID))
	}
	for path, want := range map[string]User{
		"":                {},
		"file":            {}, // its folder's
		"file/x":          {},
		"new":             {},
		"theirs":          stranger,
		"theirs/new/deep": stranger,
		"theirs/roots":    {},
		"theirs/out":      stranger, // not where it leads
		"theirs/out/file": stranger,
		"theirs/root":     stranger, // though root has made it
		"theirs/lost":     stranger,
		"by-root":         stranger,
		"by-root/new":     stranger,
		"by-root-abs/new": stranger,
		"by-root-far":     stranger,
	} {
		got, err := ownerOf(filepath.Join(top, path))
		if err != nil || !same(got, want) {
			t.Errorf("%q: got %v, %v, want %v", path, got, err, want)
		}
	}
	if _, err := ownerOf(filepath.Join(top, "loop")); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}
