package testkit

import (
	"os"
	"runtime"
	"testing"
)

// LeakCheck fails the test when at its end more goroutines or file descriptors
// are left than there are now. Call it first: its clean-up must be the last.
func LeakCheck(t testing.TB) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		if !Reached(func() bool { return runtime.NumGoroutine() <= goroutines && openFiles() <= files }) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Errorf("left behind: goroutines %d -> %d, files %d -> %d\n%s",
				goroutines, runtime.NumGoroutine(), files, openFiles(), stacks)
		}
	})
}

// openFiles is 0 where the system doesn't tell.
func openFiles() int {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(entries)
}
