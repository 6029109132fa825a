//go:build guard

package bench

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestGuardMemory is a guard like those of the tunnel. An idle connection has two small
// stacks and its TLS state in memory, and no buffer.
func TestGuardMemory(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tlstunnel")
	build := exec.Command("go", "build", "-o", program, "tlstunnel")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	report, err := Run(t.Context(), program, 30*time.Second) // the last memory goes back some 8 seconds after the last bytes
	if err != nil {
		t.Fatal(err)
	}
	const most = 22 // KiB
	for _, f := range report.Figures {
		t.Logf("%s, %s: %.4g %s", f.Measure, f.Load, f.Value, f.Unit)
		if f.Measure == Memory && f.Value > most {
			t.Errorf("%s, %s: %.1f %s, want at most %d", f.Measure, f.Load, f.Value, f.Unit, most)
		}
	}
}
