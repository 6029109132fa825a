package osservice

import (
	"os"
	"strings"
	"testing"
	"time"
)

func TestUnitState(t *testing.T) {
	tests := []struct {
		load, active, sub string
		want              State
	}{
		{"not-found", "inactive", "dead", NotInstalled},
		{"masked", "inactive", "dead", NotInstalled}, // by an empty file
		{"loaded", "inactive", "dead", Stopped},
		{"loaded", "activating", "start", Starting},
		{"loaded", "active", "running", Running},
		{"loaded", "reloading", "reload", Running},
		{"loaded", "deactivating", "stop-sigterm", Stopping},
		{"loaded", "failed", "failed", Failed},
		{"loaded", "activating", "auto-restart", Failed},
		{"loaded", "activating", "auto-restart-queued", Failed}, // systemd 254
		{"not-found", "active", "running", Running},             // its unit file was removed
	}
	for _, tt := range tests {
		got := unitState(map[string]string{"LoadState": tt.load, "ActiveState": tt.active, "SubState": tt.sub})
		if got != tt.want {
			t.Errorf("%s %s %s: got %s, want %s", tt.load, tt.active, tt.sub, got, tt.want)
		}
	}
}

// TestComplaints finds in the journal what the program has logged, and nothing else.
func TestComplaints(t *testing.T) {
	journal := `Starting tlstunnel.service - TLS tunnels...
level=ERROR msg="tlstunnel can't run" err="c.toml:1:1: wrong\nc.toml:2:1: wrong too"
tlstunnel: c.toml:1:1: wrong
tlstunnel: c.toml:2:1: wrong too
tlstunnel: hint: do it right
tlstunnel.service: Main process exited, code=exited, status=1/FAILURE
tlstunnel.service: Scheduled restart job, restart counter is at 1.
tlstunnel: c.toml:1:1: wrong
tlstunnel: c.toml:2:1: wrong too
`
	if got, want := complaints(journal), "c.toml:1:1: wrong\nc.toml:2:1: wrong too"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	journal = `tlstunnel.service: Failed to locate executable /x: Permission denied
tlstunnel.service: Failed at step EXEC spawning /x: Permission denied
tlstunnel.service: Failed with result 'exit-code'.
`
	if got := complaints(journal); got != strings.TrimSpace(journal) {
		t.Errorf("got %q", got)
	}
	if got := complaints("-- No entries --\n"); got != "" {
		t.Errorf("got %q", got)
	}
}

// TestNoSystemd: without systemd each answer says so. If the machine has systemd, the test
// doesn't touch it.
func TestNoSystemd(t *testing.T) {
	if _, err := os.Stat("/run/systemd/system"); err == nil {
		t.Skip("systemd runs this machine")
	}
	m := &Manager{Program: "/bin/true", Config: "/c.toml", Unit: "[Unit]"}
	for name, do := range map[string]func() error{
		"Install":   m.Install,
		"Uninstall": m.Uninstall,
		"Start":     func() error { return m.Start(t.Context()) },
		"Restart":   func() error { return m.Restart(t.Context()) },
		"Stop":      func() error { return m.Stop(t.Context()) },
		"State":     func() error { _, err := m.State(); return err },
	} {
		if err := do(); err == nil || !strings.Contains(err.Error(), "isn't run by systemd") {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if got := lastFailure(m, time.Now()); got != "" {
		t.Errorf("got %q", got)
	}
}
