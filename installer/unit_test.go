package installer

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
)

// TestUnit: install writes the same unit as the packages. Only the two paths differ.
func TestUnit(t *testing.T) {
	packaged, err := os.ReadFile("tlstunnel.service")
	if err != nil {
		t.Fatal(err)
	}
	if got := Unit(packagedProgram, packagedConfig); got != string(packaged) {
		t.Errorf("got\n%s", got)
	}
	got := Unit("/opt/my tunnel/100%/tlstunnel", "/etc/$x/c.toml")
	for _, want := range []string{
		`ExecStart="/opt/my tunnel/100%%/tlstunnel" run --config "/etc/$$x/c.toml"` + "\n",
		`ExecReload="/opt/my tunnel/100%%/tlstunnel" reload --config "/etc/$$x/c.toml"` + "\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the unit lacks %s:\n%s", want, got)
		}
	}
	back := strings.NewReplacer(`"/opt/my tunnel/100%%/tlstunnel"`, packagedProgram, `"/etc/$$x/c.toml"`, packagedConfig).Replace(got)
	if back != string(packaged) {
		t.Errorf("more than the paths differs:\n%s", back)
	}
}

// TestUnitStopTime: systemd waits longer than the longest drain.
func TestUnitStopTime(t *testing.T) {
	_, rest, _ := strings.Cut(packagedUnit, "\nTimeoutStopSec=")
	text, _, _ := strings.Cut(rest, "\n")
	timeout, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	grace := func(d time.Duration) error {
		_, problems := config.Parse("c", []byte("shutdown_grace = '"+d.String()+"'"))
		return problems.Err()
	}
	if err := grace(time.Hour); err != nil {
		t.Errorf("an hour isn't the longest drain any more: %v", err)
	}
	if grace(timeout-time.Minute) == nil {
		t.Errorf("systemd kills after %v what may drain for longer", timeout)
	}
}

// newerKeys are the warnings about keys that systemd ignores before version 254.
var newerKeys = regexp.MustCompile(`(?m)^.*'Restart(Steps|MaxDelaySec)' in section.*\n?`)

// TestUnitSecurity: the unit keeps its restrictions.
func TestUnitSecurity(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip(err)
	}
	dir := t.TempDir()
	program := filepath.Join(dir, "tlstunnel")
	if err := os.WriteFile(program, nil, 0o755); err != nil {
		t.Fatal(err)
	}
	unit := filepath.Join(dir, "tlstunnel.service")
	if err := os.WriteFile(unit, []byte(Unit(program, packagedConfig)), 0o600); err != nil {
		t.Fatal(err)
	}
	const threshold = 16 // tenths
	out, err := exec.Command(analyze, "security", "--offline=true", "--no-pager", "--threshold="+strconv.Itoa(threshold), unit).CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	out, err = exec.Command(analyze, "verify", "--man=no", unit).CombinedOutput()
	out = newerKeys.ReplaceAll(out, nil)
	if err != nil || len(out) > 0 {
		t.Errorf("%v\n%s", err, out)
	}
}
