package service

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
)

func TestFailureIn(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			var b strings.Builder
			log := slog.New(logHandler(config.Log{Format: format}, slog.LevelInfo, &b))
			log.Error(FatalMessage, "err", errors.New("long ago"))
			b.WriteString("not of ours = \"x\n{\n\n")
			time.Sleep(2 * time.Millisecond)
			began := time.Now()
			if got := failureIn(b.String(), began); got != "" {
				t.Errorf("got %q of an older failure", got)
			}
			const want = `C:\c.toml:1:1: tunnel "a": this` + "\nC:\\c.toml:2:2: that"
			log.Info("starting", "config", `C:\Program Files\c.toml`)
			log.Error(FatalMessage, "config", "x y", "err", errors.New(want))
			log.Info("stopped")
			if got := failureIn(b.String(), began); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
