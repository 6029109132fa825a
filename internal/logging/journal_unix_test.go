//go:build unix

package logging

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestLogJournal: the journal gets the lines of the service itself, whichever logger they
// come from. The file gets all lines.
func TestLogJournal(t *testing.T) {
	journal, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	testkit.Check(t, err)
	defer journal.Close()
	info, err := journal.Stat()
	testkit.Check(t, err)
	st := info.Sys().(*syscall.Stat_t)
	for _, tt := range []struct{ name, stream, want string }{
		{"journal", fmt.Sprintf("%d:%d", st.Dev, st.Ino), "level=INFO msg=started tunnels=1\nlevel=WARN msg=\"no new certificate\" tunnel=a ca.err=down\n"},
		{"another stream", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), ""},
		{"none", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			testkit.Check(t, journal.Truncate(0))
			_, err := journal.Seek(0, 0)
			testkit.Check(t, err)
			t.Setenv("JOURNAL_STREAM", tt.stream)
			cfg := logConfig(t)
			log, closeLog := Open(cfg, new(Control), journal, false, Messages{"started": EventStarted, "no new certificate": 0})
			log.Info("started", "tunnels", 1)
			log.With("tunnel", "a").Warn("connection interrupted")
			log.With("tunnel", "a").WithGroup("ca").Warn("no new certificate", "err", "down")
			log.WithGroup("g").Info("grouped")
			log.Log(t.Context(), slog.LevelDebug, "quiet")
			closeLog()
			got, err := os.ReadFile(journal.Name())
			testkit.Check(t, err)
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if all := readLog(t, cfg.File); len(all) < 100 {
				t.Errorf("the file got %q", all)
			}
		})
	}
}
