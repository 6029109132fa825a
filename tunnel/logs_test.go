package tunnel

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"
)

// logs keeps log records for a test to read.
type logs struct {
	mu      sync.Mutex // guards what follows
	records []record
}

type record struct {
	level   slog.Level
	message string
	attrs   map[string]slog.Value
	time    time.Time
}

func (r record) String() string {
	keys := make([]string, 0, len(r.attrs))
	for k := range r.attrs {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	s := r.level.String() + " " + r.message
	for _, k := range keys {
		s += fmt.Sprintf(" %s=%q", k, r.attrs[k].String())
	}
	return s
}

// text is the value of r's attribute key, "" if r has none.
func (r record) text(key string) string {
	if v, ok := r.attrs[key]; ok {
		return v.String()
	}
	return ""
}

// logHandler is a [slog.Handler] that adds to logs.
type logHandler struct {
	*logs
	with []slog.Attr
}

func (h logHandler) Enabled(context.Context, slog.Level) bool { return true }
func (h logHandler) WithGroup(string) slog.Handler            { return h }
func (h logHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return logHandler{h.logs, append(slices.Clone(h.with), a...)}
}
func (h logHandler) Handle(_ context.Context, r slog.Record) error {
	kept := record{r.Level, r.Message, map[string]slog.Value{}, r.Time}
	for _, a := range h.with {
		kept.attrs[a.Key] = a.Value
	}
	r.Attrs(func(a slog.Attr) bool { kept.attrs[a.Key] = a.Value; return true })
	h.mu.Lock()
	defer h.mu.Unlock()
	h.records = append(h.records, kept)
	return nil
}

func (l *logs) all() []record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}

func (l *logs) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.records)
}

// wait returns the first n records, once there are so many.
func (l *logs) wait(t testing.TB, n int) []record {
	t.Helper()
	if !reached(func() bool { return l.count() >= n }) {
		t.Fatalf("waited for %d log records, got %v", n, l.all())
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.records[:n:n]
}

// next returns the record after the n that are known.
func (l *logs) next(t testing.TB, n int) record {
	t.Helper()
	return l.wait(t, n+1)[n]
}

// isCode is true of the code of a diagnosis.
var isCode = regexp.MustCompile(`^(peer|target|tlstunnel)\.[a-z0-9_]+$`)

// expect waits for the n-th record, counted from 0, and compares it.
func (l *logs) expect(t testing.TB, n int, level slog.Level, message, endedBy, reason string) record {
	t.Helper()
	r := l.next(t, n)
	if r.level != level || r.message != message || r.text("ended_by") != endedBy || r.text("reason") != reason {
		t.Errorf("log record %d\n got %v\nwant %v %s ended_by=%q reason=%q", n, r, level, message, endedBy, reason)
	}
	if !isCode.MatchString(r.text("code")) {
		t.Errorf("log record %d has no code: %v", n, r)
	}
	return r
}
