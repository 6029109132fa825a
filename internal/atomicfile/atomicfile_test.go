package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"testing"
)

func TestCreate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if err := Create(path, []byte("first"), Secret); err != nil {
		t.Fatal(err)
	}
	err := Create(path, []byte("second"), Secret)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("second time: got %v, want fs.ErrExist", err)
	}
	if data, err := os.ReadFile(path); string(data) != "first" {
		t.Errorf("got %q, %v, want the first data", data, err)
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"a.key"}) {
		t.Errorf("got files %q, want a.key only", got)
	}
}

// TestCreateExisting checks that nothing is tried if there is a file already. In a folder
// without write permission, an attempt would fail for another reason.
func TestCreateExisting(t *testing.T) {
	defer func() { TestOnlyStep = func(string) {} }()
	path := filepath.Join(t.TempDir(), "config.toml")
	if err := Create(path, nil, Public); err != nil {
		t.Fatal(err)
	}
	TestOnlyStep = func(step string) { t.Errorf("got to: %s", step) }
	if err := Create(path, nil, Public); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v, want fs.ErrExist", err)
	}
}

func TestCreateErrors(t *testing.T) {
	path := filepath.Join(t.TempDir(), "none", "a.key")
	err := Create(path, nil, Secret)
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no folder: got %v, want fs.ErrNotExist", err)
	}
	if want := "creating " + strconv.Quote(path) + ": no such file or directory"; runtime.GOOS != "windows" && err.Error() != want {
		t.Errorf("got %s, want %s", err, want)
	}
}

func TestReplace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "server.crt")
	for _, data := range []string{"first", "second"} {
		if err := Replace(path, []byte(data), Public); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(path); string(got) != data {
			t.Errorf("got %q, %v, want %q", got, err, data)
		}
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"server.crt"}) {
		t.Errorf("got files %q, want server.crt only", got)
	}
}

// TestReplaceErrors: if the name is that of a folder, the folder stays, and nothing is left
// beside it.
func TestReplaceErrors(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "server.crt")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Replace(path, nil, Public); err == nil {
		t.Error("over a folder: got no error")
	}
	if got := names(t, dir); !slices.Equal(got, []string{"server.crt"}) {
		t.Errorf("got files %q, want server.crt only", got)
	}
}

// TestReplaceLink keeps a symlink. Administrators make such links from one machine's folder
// to another's.
func TestReplaceLink(t *testing.T) {
	dir := t.TempDir()
	target, link := filepath.Join(dir, "a.crt"), filepath.Join(dir, "b.crt")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err)
	}
	if _, err := os.Readlink(link); err != nil {
		t.Skip(err) // wine makes links that it can't read
	}
	for _, data := range []string{"first", "second"} {
		if err := Replace(target, []byte("old"), Public); err != nil {
			t.Fatal(err)
		}
		if err := Replace(link, []byte(data), Public); err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(target); string(got) != data {
			t.Errorf("got %q, %v, want %q", got, err, data)
		}
	}
	if got, err := os.Readlink(link); got != target {
		t.Errorf("got the link %q, %v, want %q", got, err, target)
	}
}

func TestPrepare(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	pending, err := Prepare(path, []byte("data"), Public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before Publish: got %v, want fs.ErrNotExist", err)
	}
	pending.Discard()
	if got := names(t, filepath.Dir(path)); len(got) != 0 {
		t.Errorf("after Discard: got files %q, want none", got)
	}
	if err := pending.Publish(); err == nil {
		t.Error("Publish after Discard: got no error")
	}
}

func TestResume(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.key")
	if _, err := Prepare(path, []byte("data"), Secret); err != nil { // as if killed here
		t.Fatal(err)
	}
	leftovers, err := Leftovers(path)
	if err != nil || len(leftovers) != 1 {
		t.Fatal(leftovers, err)
	}
	pending, err := Resume(leftovers[0], path)
	if err != nil {
		t.Fatal(err)
	}
	if err := pending.Publish(); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); string(data) != "data" {
		t.Errorf("got %q, %v", data, err)
	}
	if got := names(t, filepath.Dir(path)); !slices.Equal(got, []string{"a.key"}) {
		t.Errorf("got files %q, want a.key only", got)
	}
	if _, err := Resume(leftovers[0], path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a leftover that is gone: got %v, want fs.ErrNotExist", err)
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	target := filepath.Join(dir, "a.key")
	if _, err := Prepare(target, nil, Secret); err != nil { // as if killed here
		t.Fatal(err)
	}
	for _, other := range []string{
		"a.key", ".a.key.tmp", ".a.key.0123.tmp", ".a.key.0123456789abcdeX.tmp", ".b.key.0123456789abcdef.tmp", "a.key.0123456789abcdef.tmp",
	} {
		if err := os.WriteFile(filepath.Join(dir, other), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Leftovers(target, filepath.Join(dir, "none", "a.key"))
	if err != nil || len(got) != 1 || !isTempName(filepath.Base(got[0]), "a.key") {
		t.Errorf("got %q, %v, want the temporary file only", got, err)
	}

	link := filepath.Join(t.TempDir(), "link.key")
	if err := os.Symlink(target, link); err != nil {
		t.Skip(err) // Windows lets few make one
	}
	if again, err := Leftovers(link, target, link); err != nil || !slices.Equal(again, got) {
		t.Errorf("by a symlink, and twice: got %q, %v, want %q", again, err, got)
	}
}

func TestMkdirAll(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for range 2 {
		if err := MkdirAll(dir, Secret); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := MkdirAll(file, Secret); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a file in the way: got %v, want fs.ErrExist", err)
	}
	if err := MkdirAll(filepath.Join(file, "below"), Secret); err == nil {
		t.Error("below a file: got no error")
	}
}

func TestSecretSDDL(t *testing.T) {
	const user = "S-1-5-21-1-2-3-1001"
	for _, test := range []struct {
		sid  string
		kind kind
		want string
	}{
		{user, file, "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + ServiceSID + ")(A;;FA;;;" + user + ")"},
		{user, folder, "D:P(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;" + ServiceSID + ")(A;OICI;FA;;;" + user + ")"},
		{systemSID, file, "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + ServiceSID + ")"},
		{ServiceSID, file, "D:P(A;;FA;;;SY)(A;;FA;;;BA)(A;;FA;;;" + ServiceSID + ")"},
	} {
		if got := secretSDDL(test.sid, test.kind); got != test.want {
			t.Errorf("got %s, want %s", got, test.want)
		}
	}
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		names = append(names, entry.Name())
	}
	return names
}
