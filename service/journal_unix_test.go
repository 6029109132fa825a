//go:build unix

package service

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestLogJournal: the journal gets the lines of the service itself, whatever logger they
// come from, the file all of them.
func TestLogJournal(t *testing.T) {
	journal, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	check(t, err)
	defer journal.Close()
	info, err := journal.Stat()
	check(t, err)
	st := info.Sys().(*syscall.Stat_t)
	for _, tt := range []struct{ name, stream, want string }{
		{"journal", fmt.Sprintf("%d:%d", st.Dev, st.Ino), "level=INFO msg=started tunnels=1\nlevel=WARN msg=\"" + msgACMEFailed + "\" tunnel=a ca.err=down\n"},
		{"another stream", fmt.Sprintf("%d:%d", st.Dev, st.Ino+1), ""},
		{"none", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			check(t, journal.Truncate(0))
			_, err := journal.Seek(0, 0)
			check(t, err)
			t.Setenv("JOURNAL_STREAM", tt.stream)
			cfg := logConfig(t)
			log, closeLog := OpenLog(cfg, new(LogControl), journal, false)
			log.Info("started", "tunnels", 1)
			log.With("tunnel", "a").Warn("connection interrupted")
			log.With("tunnel", "a").WithGroup("ca").Warn(msgACMEFailed, "err", "down")
			log.WithGroup("g").Info("grouped")
			log.Log(t.Context(), slog.LevelDebug, "quiet")
			closeLog()
			got, err := os.ReadFile(journal.Name())
			check(t, err)
			if string(got) != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			if all := readLog(t, cfg.File); len(all) < 100 {
				t.Errorf("the file got %q", all)
			}
		})
	}
}
