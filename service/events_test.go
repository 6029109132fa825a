package service

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestEvents(t *testing.T) {
	var got []string
	h := eventHandler{func(id EventID, level slog.Level, text string) error {
		got = append(got, fmt.Sprintf("%d %s %s", id, level, text))
		return errors.New("the Event Log is full")
	}}
	log := slog.New(h)
	log.Info("listening", "tunnel", "pacs")
	log.Debug(msgStarted)
	log.Info(msgStarted, "tunnels", 2)
	log.With("tunnel", "pacs").Error(FatalMessage)
	log.WithGroup("tunnel").Error(FatalMessage)
	log.Warn(msgExpiry, "warning", "in 5 days")
	log.Error(FatalMessage, "err", "c.toml:1:1: this\nc.toml:2:2: that")
	log.Error(msgACMEFailed, "err", "the CA says \x1b[2J\u009b")
	fmt.Fprint(eventConsole{h}, "tlstunnel: writing log file \"x\": no space\n")
	fmt.Fprint(eventConsole{h}, "time=now level=INFO msg=\"connection closed\"\n")
	want := []string{
		"100 INFO started\r\ntunnels: 2",
		"200 WARN a certificate expires soon\r\nwarning: in 5 days",
		"301 ERROR tlstunnel can't run\r\nerr: c.toml:1:1: this\r\n  c.toml:2:2: that",
		`203 ERROR no new certificate, the CA is asked again later` + "\r\n" + `err: the CA says \u001b[2J\u009b`,
		"201 WARN writing log file \"x\": no space",
	}
	if strings.Join(got, "|") != strings.Join(want, "|") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	got = nil
	log.Error(FatalMessage, "err", strings.Repeat("ä", maxEventText))
	if len(got) != 1 || len(got[0]) > maxEventText+20 || !strings.HasSuffix(got[0], "ä ...") {
		t.Errorf("got %d bytes", len(got[0]))
	}
}

// TestEventIDs: EventCreate.exe has texts for these numbers only, and no two
// events share one.
func TestEventIDs(t *testing.T) {
	seen := map[EventID]string{EventLogFile: "log file"}
	for message, id := range eventOf {
		if other := seen[id]; id < 1 || id > 1000 || other != "" {
			t.Errorf("%q has %d, as %q", message, id, other)
		}
		seen[id] = message
	}
}
