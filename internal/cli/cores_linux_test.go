package cli

import (
	"io"
	"os"
	"testing"

	"golang.org/x/sys/unix"
)

// TestNoCore: every command keeps its memory out of core files, unless a user asks for them.
// The command goes on in both cases.
func TestNoCore(t *testing.T) {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil { // other tests have run commands
		t.Fatal(err)
	}
	t.Setenv("GOTRACEBACK", "crash")
	if code := Main([]string{"version"}, nil, io.Discard, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable == 0 {
		t.Errorf("dumpable though a core was asked for: %d, %v", dumpable, err)
	}

	t.Setenv("GOTRACEBACK", "")
	if code := Main([]string{"version"}, nil, io.Discard, io.Discard); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	if dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0); err != nil || dumpable != 0 {
		t.Errorf("dumpable: %d, %v", dumpable, err)
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil || limit != (unix.Rlimit{}) {
		t.Errorf("the limit of core files: %+v, %v", limit, err)
	}
	if _, err := os.Executable(); err != nil {
		t.Error(err)
	}
	if _, err := os.ReadDir("/proc/self/fd"); err != nil {
		t.Error(err)
	}
}
