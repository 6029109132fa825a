package testkit

import (
	"runtime"
	"testing"
)

// LeakCheck fails the test when at its end more goroutines or file descriptors
// are left than there are now. Call it first: its clean-up must be the last.
func LeakCheck(t testing.TB) {
	t.Helper()
	FreePort(t) // what the runtime opens with the first socket is no leak
	goroutines, files := runtime.NumGoroutine(), OpenFiles()
	t.Cleanup(func() {
		if t.Failed() {
			return
		}
		if !Reached(func() bool { return runtime.NumGoroutine() <= goroutines && OpenFiles() <= files }) {
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			t.Errorf("left behind: goroutines %d -> %d, files %d -> %d\n%s",
				goroutines, runtime.NumGoroutine(), files, OpenFiles(), stacks)
		}
	})
}
