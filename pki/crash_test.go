package pki

import (
	"bytes"
	"errors"
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

// startChild runs Ensure on dir in a process of its own; see TestMain.
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

// TestKill kills Ensure at each of its steps in turn. The next one must go on,
// or name the files to delete and go on once they are.
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
	} {
		t.Run(start.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "state", "pki")
			start.prepare(t, dir)
			output, err := startChild(t, dir)()
			if err != nil {
				t.Fatalf("without a kill: %v: %q", err, output)
			}
			steps := output[:len(output)-1]
			for i, step := range steps {
				t.Run(strconv.Itoa(i+1)+" "+step, func(t *testing.T) {
					dir := filepath.Join(t.TempDir(), "state", "pki")
					start.prepare(t, dir)
					output, err := startChild(t, dir, childKill+"="+strconv.Itoa(i+1))()
					if _, killed := errors.AsType[*exec.ExitError](err); !killed || len(output) != i+1 {
						t.Fatalf("got %v after %d steps, want a kill after %d", err, len(output), i+1)
					}
					recoverAfterKill(t, dir)
				})
			}
		})
	}
}

var deleteAdvice = regexp.MustCompile(`killed during its first start.* delete ("[^"]*") and start again`)

func recoverAfterKill(t *testing.T, dir string) {
	store, _, err := Ensure(t.Context(), testSettings(dir), now)
	if err != nil {
		advice := deleteAdvice.FindStringSubmatch(err.Error())
		if advice == nil {
			t.Fatalf("an error that doesn't say what to delete: %v", err)
		}
		path, unquoteErr := strconv.Unquote(advice[1])
		if unquoteErr != nil {
			t.Fatal(unquoteErr)
		}
		remove(t, path)
		if store, _, err = Ensure(t.Context(), testSettings(dir), now); err != nil {
			t.Fatalf("after following the advice: %v", err)
		}
	}
	if store == nil {
		t.Fatal("no store")
	}
	got := fileNames(t, dir)
	want := []string{".lock", "ca.crt", "ca.key", "server.crt", "server.key"}
	if !slices.Equal(got, want) {
		t.Errorf("got files %q, want %q", got, want)
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

// TestFullDisk lets the disk be full at the first key, and at the first
// certificate.
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
