package osservice

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/logging"
	"tlstunnel/internal/testkit"
)

func TestFailureIn(t *testing.T) {
	for _, format := range []string{"text", "json"} {
		t.Run(format, func(t *testing.T) {
			text := new(testkit.Log)
			log, closeLog := logging.Open(config.Log{File: config.Console, Level: "info", Format: format}, new(logging.Control), text, false, nil)
			log.Error(logging.FatalMessage, "err", errors.New("long ago"))
			text.Await(t, "long ago")
			fmt.Fprint(text, "not of ours = \"x\n{\n\n")
			time.Sleep(2 * time.Millisecond)
			began := time.Now()
			if got := failureIn(text.String(), began); got != "" {
				t.Errorf("got %q of an older failure", got)
			}
			const want = `C:\c.toml:1:1: tunnel "a": this` + "\nC:\\c.toml:2:2: that"
			log.Info("starting", "config", `C:\Program Files\c.toml`)
			log.Error(logging.FatalMessage, "config", "x y", "err", errors.New(want))
			log.Info("stopped")
			closeLog()
			if got := failureIn(text.String(), began); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}
