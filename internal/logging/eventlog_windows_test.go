package logging

import (
	"log/slog"
	"testing"
)

// TestEventLog writes an event of each level into the Application log.
func TestEventLog(t *testing.T) {
	l, err := OpenEventLog("tlstunnel", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, level := range []slog.Level{slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if err := l.report(EventStarted, level, "a test of tlstunnel"); err != nil {
			t.Error(err)
		}
	}
}
