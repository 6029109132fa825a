package logging

import (
	"sync"
	"time"
)

const (
	// queuedLines is how many lines may wait for a disk or a console: about 1 MB at 300 bytes
	// a line. Further lines are dropped and counted.
	queuedLines = 4096

	// closeTimeout is how long a stop waits for queued lines.
	closeTimeout = 2 * time.Second
)

// lineQueue is a writer of log lines that never fails and never blocks. The method pass, in a
// goroutine of its own, writes them.
type lineQueue struct {
	lines  chan []byte
	passed chan struct{} // closed once the last line is written

	mu      sync.Mutex // guards the fields below
	closed  bool
	dropped int
}

func newLineQueue() *lineQueue {
	return &lineQueue{lines: make(chan []byte, queuedLines), passed: make(chan struct{})}
}

// Write queues a line. It always succeeds.
func (q *lineQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return len(line), nil
	}
	select {
	case q.lines <- append([]byte(nil), line...): // a copy: slog reuses its buffer
	default:
		q.dropped++
	}
	return len(line), nil
}

// pass calls write for each line until close, with the number of lines that were dropped
// before it because the queue was full.
func (q *lineQueue) pass(write func(line []byte, dropped int)) {
	defer close(q.passed)
	for line := range q.lines {
		q.mu.Lock()
		dropped := q.dropped
		q.dropped = 0
		q.mu.Unlock()
		write(line, dropped)
	}
}

// close waits until the queued lines are written, at most closeTimeout.
func (q *lineQueue) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.lines)
	}
	q.mu.Unlock()
	select {
	case <-q.passed:
	case <-time.After(closeTimeout):
	}
}
