// Package testkit is what the tests of several packages share. It is for tests alone:
// layout_test.go lets no other file import it.
//
//	log := new(testkit.Log)
//	start(slog.New(slog.NewTextHandler(log, nil)))
//	log.Await(t, "msg=listening")
package testkit

import (
	"os"
	"testing"
)

// Check ends the test if there is an error.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
