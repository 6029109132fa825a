//go:build unix

package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tlstunnel/internal/logging"
	"tlstunnel/internal/testkit"
	"tlstunnel/service/compile"
)

// TestLogFailureInStatus: a service that can't write its log file isn't healthy until it has
// written a line again.
func TestLogFailureInStatus(t *testing.T) {
	cfg := load(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	cfg.Log.File = filepath.Join(t.TempDir(), "log")
	check(t, os.Mkdir(cfg.Log.File, 0o700)) // stands for a disk that is full or read-only
	control := new(logging.Control)
	log, closeLog := logging.Open(cfg.Log, control, io.Discard, false, nil)
	defer closeLog()
	s, err := Start(t.Context(), cfg, log)
	check(t, err)
	defer s.Stop()
	s.logControl = control
	await := func(want Verdict) (st Status) {
		if !testkit.Reached(func() bool { st = s.Status(); return st.Verdict == want }) {
			t.Fatalf("got %+v, want %s", st.Health, want)
		}
		return st
	}
	if st := await(Degraded); len(st.Problems) != 1 || !strings.Contains(st.Problems[0], fmt.Sprintf("%q can't be written", cfg.Log.File)) || st.LogError == "" {
		t.Errorf("got %+v", st.Health)
	}
	check(t, os.Remove(cfg.Log.File))
	log.Info("hello")
	if st := await(OK); st.LogError != "" {
		t.Errorf("got %+v", st)
	}
}

// TestStatusOfAnotherUser: a service of another user can't be asked. The status doesn't call
// it down for that, whatever the service manager knows of the installed service.
func TestStatusOfAnotherUser(t *testing.T) {
	temp := testkit.ShortTempDir(t)
	t.Setenv("TMPDIR", temp)
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(temp, "tlstunnel-12345"))
	check(t, os.Mkdir(filepath.Join(temp, "tlstunnel-12345"), 0o700))
	s := startService(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	defer s.serveControl().Close()
	if st := Examine(t.Context(), s.cfg.File, Fallback{noManager, compile.Check}); st.Source != SourceService {
		t.Fatalf("as its user: %+v", st)
	}
	t.Setenv("RUNTIME_DIRECTORY", filepath.Join(temp, "ours"))
	for name, manager := range map[string]func() (string, error){
		"no service manager": noManager,
		"not installed":      func() (string, error) { return "not installed", nil },
	} {
		st := Examine(t.Context(), s.cfg.File, Fallback{manager, compile.Check})
		if st.Verdict != Unknown || len(st.Problems) != 1 || !strings.Contains(st.Problems[0], "ask as that user") {
			t.Errorf("%s: got %+v, want %s", name, st.Health, Unknown)
		}
	}
}
