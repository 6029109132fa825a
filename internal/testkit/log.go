package testkit

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"time"
)

// Patience is how long an event may take on a slow machine.
const Patience = 20 * time.Second

// Log collects the lines of a log. Several goroutines may use it.
type Log struct {
	mu      sync.Mutex // guards what follows
	text    bytes.Buffer
	changed chan struct{} // closed at the next line
}

func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.text.Write(p)
}

// Next is closed when there is another line.
func (l *Log) Next() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed == nil {
		l.changed = make(chan struct{})
	}
	return l.changed
}

func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Await waits until the log has text.
func (l *Log) Await(t testing.TB, text string) {
	t.Helper()
	l.AwaitCount(t, text, 1)
}

// AwaitCount waits until the log has text so many times.
func (l *Log) AwaitCount(t testing.TB, text string, count int) {
	t.Helper()
	for end := time.After(Patience); ; {
		changed := l.Next()
		if strings.Count(l.String(), text) >= count {
			return
		}
		select {
		case <-changed:
		case <-end:
			t.Fatalf("the log lacks %q:\n%s", text, l)
		}
	}
}
