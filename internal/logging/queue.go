package logging

import (
	"sync"
	"time"
)

const (
	// queuedLines may wait for a disk or a console; at some 300 bytes each that
	// is 1 MB. Those beyond are counted and dropped.
	queuedLines = 4096

	// closeTimeout is how long a stop waits for what is queued.
	closeTimeout = 2 * time.Second
)

// lineQueue is a writer of log lines that never fails and never blocks: pass, in
// a goroutine of its own, hands them on.
type lineQueue struct {
	lines  chan []byte
	passed chan struct{} // closed when the last line has been

	mu      sync.Mutex // guards what follows
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
	case q.lines <- append([]byte(nil), line...): // slog uses its buffer again
	default:
		q.dropped++
	}
	return len(line), nil
}

// pass hands each line to write until close, with the number of lines that were
// dropped before it for want of room.
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

// close waits until what is queued has been written, but not for ever.
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
