package tunnel

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
)

// handshakeTurns limits the handshakes of the whole process to one for each processor. While all
// turns are taken, Go's scheduler still gives relaying connections their share.
var handshakeTurns = newTurns(runtime.GOMAXPROCS(0))

// turns is a semaphore with fair queueing: each origin has a queue, and the origins take turns.
// Thousands of connections from one address wait only for each other. If strangers come from
// thousands of addresses, returning origins don't wait for all of them: they get every second
// turn.
type turns struct {
	mu     sync.Mutex // guards what follows
	free   int
	queues map[netip.Prefix][]*waiting
	order  [2][]netip.Prefix // the origins with a queue, the next one first: of strangers, of returning origins
	last   int               // the index in order that had the last turn
}

// waiting is a goroutine in a queue.
type waiting struct {
	granted   chan struct{} // closed when it has a turn
	returning bool          // its origin is a returning one for its tunnel
	gaveUp    bool          // its context is done: it needs no turn any more
}

func newTurns(n int) *turns {
	return &turns{free: n, queues: make(map[netip.Prefix][]*waiting)}
}

// acquire waits for a turn. The caller must call release, unless acquire returns an error,
// which is that of ctx.
func (t *turns) acquire(ctx context.Context, origin netip.Prefix, returning bool) error {
	t.mu.Lock()
	if ctx.Err() != nil || t.free > 0 {
		defer t.mu.Unlock()
		if ctx.Err() == nil {
			t.free--
		}
		return ctx.Err()
	}
	w := &waiting{granted: make(chan struct{}), returning: returning}
	t.queues[origin] = append(t.queues[origin], w)
	if len(t.queues[origin]) == 1 {
		t.queueOrigin(origin)
	}
	t.mu.Unlock()

	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	select {
	case <-w.granted:
		t.grantNext()
	default:
		w.gaveUp = true
	}
	return ctx.Err()
}

// release gives the turn to the next goroutine.
func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.grantNext()
}

// grantNext gives the turn to the next goroutine that still waits. The caller holds t.mu.
func (t *turns) grantNext() {
	for len(t.queues) > 0 {
		if t.last = 1 - t.last; len(t.order[t.last]) == 0 {
			t.last = 1 - t.last
		}
		origin := t.order[t.last][0]
		queue := t.queues[origin]
		next := queue[0]
		t.order[t.last] = t.order[t.last][1:]
		if queue = queue[1:]; len(queue) > 0 {
			t.queues[origin] = queue
			t.queueOrigin(origin)
		} else {
			delete(t.queues, origin)
		}
		if !next.gaveUp {
			close(next.granted)
			return
		}
	}
	t.free++
}

// queueOrigin puts an origin at the end of one of the two orders. The first waiting in its queue
// decides which. The caller holds t.mu.
func (t *turns) queueOrigin(origin netip.Prefix) {
	which := 0
	if t.queues[origin][0].returning {
		which = 1
	}
	t.order[which] = append(t.order[which], origin)
}
