//go:build unix

package service

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/logging"
)

// TestLogFailureInStatus: a service whose log file can't be written isn't healthy, until
// a line is in it again.
func TestLogFailureInStatus(t *testing.T) {
	cfg := load(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	cfg.Log.File = filepath.Join(t.TempDir(), "log")
	check(t, os.Mkdir(cfg.Log.File, 0o700)) // for a full disk, or one that can't be written
	control := new(logging.Control)
	log, closeLog := logging.Open(cfg.Log, control, io.Discard, false, nil)
	defer closeLog()
	s, err := Start(t.Context(), cfg, log)
	check(t, err)
	defer s.Stop()
	s.logControl = control
	await := func(want Verdict) (st Status) {
		for range 500 {
			if st = s.Status(); st.Verdict == want {
				return st
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Fatalf("got %+v, want %s", st.Health, want)
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
