//go:build unix

package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestModes looks at the modes at every step: they are final from birth.
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

func checkMode(t *testing.T, step, path string, want fs.FileMode) {
	t.Helper()
	info, err := os.Lstat(path)
	if err == nil && info.Mode() != want {
		t.Errorf("%s: %s: got mode %v, want %v", step, path, info.Mode(), want)
	}
}
