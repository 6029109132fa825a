package service

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

func TestEvents(t *testing.T) {
	var got []string
	h := eventHandler{report: func(id EventID, level slog.Level, text string) error {
		got = append(got, fmt.Sprintf("%d %s %s", id, level, text))
		return errors.New("the Event Log is full")
	}}
	log := slog.New(h)
	log.Info("listening", "tunnel", "pacs")
	log.Debug(msgStarted)
	log.Info(msgStarted, "tunnels", 2)
	log.With("tunnel", "pacs").Error(FatalMessage)
	log.With("tunnel", "pacs").Info("connection closed")
	log.With("tunnel", "pacs").WithGroup("ca").With("try", 1).Warn(msgACMEFailed, "err", "down")
	log.Warn(msgExpiry, "warning", "in 5 days")
	log.Error(FatalMessage, "err", "c.toml:1:1: this\nc.toml:2:2: that")
	log.Error(msgACMEFailed, "err", "the CA says \x1b[2J\u009b")
	fmt.Fprint(eventConsole{h}, "tlstunnel: writing log file \"x\": no space\n")
	fmt.Fprint(eventConsole{h}, "time=now level=INFO msg=\"connection closed\"\n")
	want := []string{
		"100 INFO started\r\ntunnels: 2",
		"301 ERROR tlstunnel can't run\r\ntunnel: pacs",
		"203 WARN no new certificate, the CA is asked again later\r\ntunnel: pacs\r\nca.try: 1\r\nca.err: down",
		"200 WARN a certificate expires soon, or isn't valid now\r\nwarning: in 5 days",
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

// TestHeadlines finds every message of this package that isn't known, and every known
// one that isn't there any more.
func TestHeadlines(t *testing.T) {
	levels := map[string]bool{"Info": true, "Warn": true, "Error": true}
	found := map[string]bool{}
	files, err := filepath.Glob("*.go")
	check(t, err)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		check(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !levels[method.Sel.Name] {
				return true
			}
			if text, ok := call.Args[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
				message, err := strconv.Unquote(text.Value)
				check(t, err)
				found[message] = true
				if !isHeadline(message) && name != "logfile.go" { // what the log itself has lost is for the file
					t.Errorf("%s: the journal doesn't get %q: add it to headlines", name, message)
				}
			}
			return true
		})
	}
	for message := range headlines {
		if !found[message] && message != msgRefreshed {
			t.Errorf("nobody logs %q", message)
		}
	}
}
