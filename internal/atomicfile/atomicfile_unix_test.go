//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// TestModes checks the modes at every step. A file has its final mode from its creation on.
func TestModes(t *testing.T) {
	defer func() { TestOnlyStep = func(string) {} }()
	for _, test := range []struct {
		umask          int
		access         Access
		file, dir, top fs.FileMode
	}{
		{0o000, Secret, 0o600, 0o700, 0o755},
		{0o022, Secret, 0o600, 0o700, 0o755},
		{0o077, Secret, 0o600, 0o700, 0o700},
		{0o022, Public, 0o644, 0o755, 0o755},
		{0o027, Public, 0o640, 0o750, 0o750},
		{0o022, Group, 0o640, 0o750, 0o755},
		{0o077, Group, 0o600, 0o700, 0o700},
	} {
		root := t.TempDir()
		dir := filepath.Join(root, "top", "dir")
		old := syscall.Umask(test.umask)
		TestOnlyStep = func(step string) {
			for path, want := range map[string]fs.FileMode{
				filepath.Dir(dir): fs.ModeDir | test.top,
				dir:               fs.ModeDir | test.dir,
			} {
				checkMode(t, step, path, want)
			}
			files, err := filepath.Glob(filepath.Join(dir, "*"))
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range files {
				checkMode(t, step, path, test.file)
			}
		}
		if err := MkdirAll(dir, test.access); err != nil {
			t.Error(err)
		}
		if err := Create(filepath.Join(dir, "file"), []byte("data"), test.access); err != nil {
			t.Error(err)
		}
		syscall.Umask(old)
	}
}

func TestDanglingSymlink(t *testing.T) {
	path := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink("nowhere", path); err != nil {
		t.Fatal(err)
	}
	if err := Create(path, nil, Secret); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
}

// TestRootGivesAway: a file that root makes belongs to the owner of the folder before any
// content is in it. Its mode gets no wider for that.
func TestRootGivesAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const uid, gid = 4711, 4712
	top := t.TempDir()
	if err := os.Chmod(filepath.Dir(top), 0o755); err != nil { // its owner must come there
		t.Fatal(err)
	}
	defer syscall.Umask(syscall.Umask(0o077))
	if err := os.Chown(top, uid, gid); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		access    Access
		file, dir fs.FileMode
	}{
		{Secret, 0o600, 0o700},
		{Group, 0o640, 0o750},
		{Public, 0o600, 0o700},
	} {
		dir := filepath.Join(top, strconv.Itoa(int(test.access)))
		file := filepath.Join(dir, "file")
		lock := filepath.Join(dir, "lock")
		if err := MkdirAll(dir, test.access); err != nil {
			t.Fatal(err)
		}
		if err := Create(file, nil, test.access); err != nil {
			t.Fatal(err)
		}
		f, err := OpenSecret(lock)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		for path, mode := range map[string]fs.FileMode{dir: fs.ModeDir | test.dir, file: test.file, lock: 0o600} {
			info, err := os.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			owner := info.Sys().(*syscall.Stat_t)
			if info.Mode() != mode || owner.Uid != uid || owner.Gid != gid {
				t.Errorf("%s: %v of %d:%d, want %v of %d:%d", path, info.Mode(), owner.Uid, owner.Gid, mode, uid, gid)
			}
		}
	}
	// In a folder that isn't root's, no link is followed with root's rights.
	link := filepath.Join(top, "link")
	other := filepath.Join(t.TempDir(), "other")
	if err := os.WriteFile(other, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(other, link); err != nil {
		t.Fatal(err)
	}
	for what, write := range map[string]func() error{
		"OpenSecret": func() error { _, err := OpenSecret(link); return err },
		"Replace":    func() error { return Replace(link, []byte("new"), Public) },
		"MkdirAll":   func() error { return MkdirAll(filepath.Join(link, "dir"), Secret) },
	} {
		if err := write(); err == nil {
			t.Errorf("%s through a link: no error", what)
		}
	}
	data, err := os.ReadFile(other)
	if err != nil || len(data) > 0 {
		t.Errorf("a file behind a link: %q, %v", data, err)
	}
	if info, err := os.Stat(other); err != nil || info.Mode() != 0o600 || info.Sys().(*syscall.Stat_t).Uid != 0 {
		t.Errorf("a file behind a link: %v, %v", info, err)
	}
}

func checkMode(t *testing.T, step, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err == nil && info.Mode() != want {
		t.Errorf("%s: %s: got mode %v, want %v", step, path, info.Mode(), want)
	}
}
