package logging

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestEvents(t *testing.T) {
	var got []string
	own := Messages{"started": EventStarted, "no new certificate": EventACME, "it expires": EventExpiry, FatalMessage: EventFatal, "listening": 0}
	h := eventHandler{known: own, report: func(id EventID, level slog.Level, text string) error {
		got = append(got, fmt.Sprintf("%d %s %s", id, level, text))
		return errors.New("the Event Log is full")
	}}
	log := slog.New(h)
	log.Info("listening", "tunnel", "pacs")
	log.Debug("started")
	log.Info("started", "tunnels", 2)
	log.With("tunnel", "pacs").Error(FatalMessage)
	log.With("tunnel", "pacs").Info("connection closed")
	log.With("tunnel", "pacs").WithGroup("ca").With("try", 1).Warn("no new certificate", "err", "down")
	log.Warn("it expires", "warning", "in 5 days")
	log.Error(FatalMessage, "err", "c.toml:1:1: this\nc.toml:2:2: that")
	log.Error("no new certificate", "err", "the CA says \x1b[2J\u009b")
	fmt.Fprint(eventConsole{h}, "tlstunnel: writing log file \"x\": no space\n")
	fmt.Fprint(eventConsole{h}, "time=now level=INFO msg=\"connection closed\"\n")
	want := []string{
		"100 INFO started\r\ntunnels: 2",
		"301 ERROR tlstunnel can't run\r\ntunnel: pacs",
		"203 WARN no new certificate\r\ntunnel: pacs\r\nca.try: 1\r\nca.err: down",
		"200 WARN it expires\r\nwarning: in 5 days",
		"301 ERROR tlstunnel can't run\r\nerr: c.toml:1:1: this\r\n  c.toml:2:2: that",
		`203 ERROR no new certificate` + "\r\n" + `err: the CA says \u001b[2J\u009b`,
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
