package pki

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// startChild runs Ensure, or what childDoes says, on dir in a process of its own; see
// TestMain.
func startChild(t *testing.T, dir string, env ...string) (wait func() (output []string, err error)) {
	t.Helper()
	var out bytes.Buffer
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), append(env, childDir+"="+dir)...)
	cmd.Stdout, cmd.Stderr = &out, os.Stderr // apart: go test -cover writes there too
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return func() ([]string, error) {
		err := cmd.Wait()
		return strings.Split(strings.TrimSpace(out.String()), "\n"), err
	}
}

// TestKill kills Ensure at each of its steps in turn. The next Ensure must complete the PKI
// by itself.
func TestKill(t *testing.T) {
	for _, start := range []struct {
		name    string
		prepare func(t *testing.T, dir string)
	}{
		{"no folder", func(*testing.T, string) {}},
		{"CA only", func(t *testing.T, dir string) {
			prepareFirstRun(t, dir)
			remove(t, filepath.Join(dir, "server.crt"), filepath.Join(dir, "server.key"))
		}},
		{"leftovers of a killed run", func(t *testing.T, dir string) {
			prepareFirstRun(t, dir)
			writeFile(t, filepath.Join(dir, ".server.crt.0123456789abcdef.tmp"), nil)
			writeFile(t, filepath.Join(dir, ".ca.key.0123456789abcdef.tmp"), nil)
		}},
		{"killed before ca.crt", func(t *testing.T, dir string) {
			prepareFirstRun(t, dir)
			unpublish(t, dir, "ca.crt", "server.key", "server.crt")
		}},
		{"killed before server.crt", func(t *testing.T, dir string) {
			prepareFirstRun(t, dir)
			unpublish(t, dir, "server.crt")
		}},
	} {
		t.Run(start.name, func(t *testing.T) {
			killEach(t, "", start.prepare, recoverAfterKill)
		})
	}
}

// killEach runs what a child does, "" for Ensure, after prepare: once to the end, and then
// with a kill at each step. After each kill it calls look.
func killEach(t *testing.T, does string, prepare, look func(t *testing.T, dir string)) {
	dir := filepath.Join(t.TempDir(), "state", "pki")
	prepare(t, dir)
	output, err := startChild(t, dir, childDoes+"="+does)()
	if err != nil {
		t.Fatalf("%s without a kill: %v: %q", does, err, output)
	}
	steps := output[:len(output)-1]
	if len(steps) < 3 {
		t.Errorf("%s: only the steps %q", does, steps)
	}
	for i, step := range steps {
		t.Run(strings.TrimSpace(does+" "+strconv.Itoa(i+1)+" "+step), func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "state", "pki")
			prepare(t, dir)
			output, err := startChild(t, dir, childDoes+"="+does, childKill+"="+strconv.Itoa(i+1))()
			if _, killed := errors.AsType[*exec.ExitError](err); !killed || len(output) != i+1 {
				t.Fatalf("got %v after %d steps, want a kill after %d", err, len(output), i+1)
			}
			look(t, dir)
		})
	}
}

// unpublish gives files the names that they have until they are published.
func unpublish(t *testing.T, dir string, names ...string) {
	t.Helper()
	for _, name := range names {
		if err := os.Rename(filepath.Join(dir, name), leftover(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func leftover(dir, name string) string {
	return filepath.Join(dir, "."+name+".0123456789abcdef.tmp")
}

func recoverAfterKill(t *testing.T, dir string) {
	t.Helper()
	if _, _, err := Ensure(t.Context(), testSettings(dir), now); err != nil {
		t.Fatal(err)
	}
	got := fileNames(t, dir)
	want := []string{".lock", "ca.crt", "ca.key", "issued.jsonl", "server.crt", "server.key"}
	if !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
	}
}

// TestResume: the half that is missing is there as a leftover. The keys and certificates stay
// those that were made.
func TestResume(t *testing.T) {
	for _, names := range []string{"ca.crt", "ca.key", "server.crt", "server.key", "ca.crt server.crt", "ca.key server.crt"} {
		first := ensure(t, nil)
		dir := first.Dir
		var want []string
		for _, name := range strings.Fields(names) {
			unpublish(t, dir, name)
			want = append(want, filepath.Join(dir, name))
		}
		store, created, err := Ensure(t.Context(), testSettings(dir), now)
		if err != nil {
			t.Errorf("%s: %v", names, err)
			continue
		}
		if !slices.Equal(created, want) || !store.CA.Equal(first.CA) || !store.Server.Leaf.Equal(first.Server.Leaf) {
			t.Errorf("%s: got created %q, want %q, and the same certificates", names, created, want)
		}
		recoverAfterKill(t, dir) // looks at the files
	}
}

// TestResumeNothingElse puts something else in the place of the leftover. The half is
// reported as if there were none.
func TestResumeNothingElse(t *testing.T) {
	other := ensure(t, nil).Dir
	otherCA := func(t *testing.T, dir string) {
		writeFile(t, filepath.Join(dir, "ca.key"), readFile(t, filepath.Join(other, "ca.key")))
		writeFile(t, filepath.Join(dir, "ca.crt"), readFile(t, filepath.Join(other, "ca.crt")))
	}
	for _, test := range []struct {
		name, half string
		change     func(t *testing.T, dir string)
	}{
		{"cut off", "server.crt", func(t *testing.T, dir string) {
			data := readFile(t, leftover(dir, "server.crt"))
			writeFile(t, leftover(dir, "server.crt"), data[:len(data)-40])
		}},
		{"empty", "ca.key", func(t *testing.T, dir string) { writeFile(t, leftover(dir, "ca.key"), nil) }},
		{"of another CA", "ca.crt", func(t *testing.T, dir string) {
			writeFile(t, leftover(dir, "ca.crt"), readFile(t, filepath.Join(other, "ca.crt")))
		}},
		{"not self-signed", "ca.crt", func(t *testing.T, dir string) {
			writeFile(t, filepath.Join(dir, "ca.key"), readFile(t, filepath.Join(dir, "server.key")))
			writeFile(t, leftover(dir, "ca.crt"), readFile(t, filepath.Join(dir, "server.crt")))
		}},
		{"from another CA", "server.crt", otherCA},
		{"a symlink", "server.crt", func(t *testing.T, dir string) {
			if err := os.Rename(leftover(dir, "server.crt"), filepath.Join(dir, "elsewhere")); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("elsewhere", leftover(dir, "server.crt")); err != nil {
				t.Skip(err)
			}
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := ensure(t, nil).Dir
			unpublish(t, dir, test.half)
			test.change(t, dir)
			_, _, err := Ensure(t.Context(), testSettings(dir), now)
			if err == nil || !strings.Contains(err.Error(), "is missing: restore it from a backup") {
				t.Errorf("got %v, want that half is missing", err)
			}
			if slices.Contains(fileNames(t, dir), test.half) {
				t.Error("the leftover was published")
			}
		})
	}
}

var deleteAdvice = regexp.MustCompile(`killed during its first start.* delete ("[^"]*") and start again`)

// TestHalfAdvice follows the advice about a half that can't be completed.
func TestHalfAdvice(t *testing.T) {
	for _, files := range [][]string{
		{"ca.crt", "server.key", "server.crt"}, {"ca.key", "server.key", "server.crt"}, {"server.key"}, {"server.crt"},
	} {
		dir := ensure(t, nil).Dir
		for _, name := range files {
			remove(t, filepath.Join(dir, name))
		}
		_, _, err := Ensure(t.Context(), testSettings(dir), now)
		advice := deleteAdvice.FindStringSubmatch(fmt.Sprint(err))
		if advice == nil {
			t.Fatalf("without %q: an error that doesn't say what to delete: %v", files, err)
		}
		path, err := strconv.Unquote(advice[1])
		if err != nil {
			t.Fatal(err)
		}
		remove(t, path)
		if _, _, err = Ensure(t.Context(), testSettings(dir), now); err != nil {
			t.Errorf("without %q, after following the advice: %v", files, err)
		}
	}
}

func TestManyProcessesAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "pki")
	var waits []func() ([]string, error)
	for range 8 {
		waits = append(waits, startChild(t, dir))
	}
	var first string
	for i, wait := range waits {
		output, err := wait()
		if err != nil {
			t.Fatalf("process %d: %v: %q", i, err, output)
		}
		fingerprint := output[len(output)-1]
		if i == 0 {
			first = fingerprint
		}
		if fingerprint != first {
			t.Errorf("process %d: got CA %s, want %s as process 0", i, fingerprint, first)
		}
	}
}

// TestFullDisk makes the disk full at the first key, and at the first certificate.
func TestFullDisk(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs RLIMIT_FSIZE")
	}
	for limit, file := range map[string]string{"100": "ca.key", "400": "ca.crt"} {
		dir := filepath.Join(t.TempDir(), "pki")
		output, err := startChild(t, dir, childLimit+"="+limit)()
		if err == nil {
			t.Fatalf("limit %s: got no error", limit)
		}
		want := "writing " + strconv.Quote(filepath.Join(dir, file)) + ": file too large"
		if got := output[len(output)-1]; got != want {
			t.Errorf("limit %s: got %q, want %q", limit, got, want)
		}
		if got := fileNames(t, dir); !slices.Equal(got, []string{".lock"}) {
			t.Errorf("limit %s: left behind: %q", limit, got)
		}
	}
}

func prepareFirstRun(t *testing.T, dir string) {
	t.Helper()
	if _, _, err := Ensure(t.Context(), testSettings(dir), now); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func fileNames(t *testing.T, dir string) []string {
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
