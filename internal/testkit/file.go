package testkit

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// WriteFile writes a file that its owner alone can read, and returns its path.
func WriteFile[Data string | []byte](t testing.TB, path string, data Data) string {
	t.Helper()
	Check(t, os.WriteFile(path, []byte(data), 0o600))
	return path
}

// ReadFile reads a file that must be there.
func ReadFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	Check(t, err)
	return data
}

// GlobFiles gives the files of dir that match the pattern.
func GlobFiles(t testing.TB, dir, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, pattern))
	Check(t, err)
	return files
}

// ShortTempDir is for sockets, whose path must be shorter than 108 bytes. It is removed at
// the end of the test.
func ShortTempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "tl")
	Check(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// Need is the path of a program. If the program isn't installed, the test is skipped, or fails if
// TLSTUNNEL_REQUIRE_INTEROP is 1.
func Need(t testing.TB, name string) string {
	t.Helper()
	candidates := []string{name}
	for _, dir := range []string{"/usr/sbin", "/usr/bin", "/usr/lib/postgresql/*/bin"} {
		found, _ := filepath.Glob(filepath.Join(dir, name))
		candidates = append(candidates, found...)
	}
	for _, c := range candidates {
		if path, err := exec.LookPath(c); err == nil {
			return path
		}
	}
	if os.Getenv("TLSTUNNEL_REQUIRE_INTEROP") == "1" {
		t.Fatalf("%s isn't installed, and TLSTUNNEL_REQUIRE_INTEROP is set", name)
	}
	t.Skipf("%s isn't installed", name)
	return ""
}

// Run runs a program, whose exit code must be 0, and returns what it wrote to stdout and stderr.
func Run(t testing.TB, name string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), Need(t, name), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
