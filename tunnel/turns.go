package tunnel

import (
	"context"
	"net/netip"
	"runtime"
	"sync"
)

// handshakeTurns are those of the whole process, as its processors are. While all
// are taken, what is relayed still gets its share of them from Go's scheduler.
var handshakeTurns = newTurns(runtime.GOMAXPROCS(0))

// turns lets a number of goroutines compute at a time. The others wait in a queue
// for each origin, and the origins take turns (fair queueing). If a peer comes from one
// address with thousands of connections, these wait for each other alone. If strangers come
// from thousands of addresses, returning origins don't wait for all of them: every second
// turn is theirs.
type turns struct {
	mu     sync.Mutex // guards what follows
	free   int
	queues map[netip.Prefix][]*waiting
	order  [2][]netip.Prefix // the origins that have a queue, the next one first: strangers, and returning
	last   int               // which of the two had its turn last
}

// waiting is in a queue.
type waiting struct {
	granted   chan struct{} // closed when it has a turn
	returning bool          // its origin, to the tunnel where it is
	gaveUp    bool          // its context is done: it takes no turn any more
}

func newTurns(n int) *turns {
	return &turns{free: n, queues: make(map[netip.Prefix][]*waiting)}
}

// begin waits for a turn; end must follow, unless it returns an error, which is that
// of ctx.
func (t *turns) begin(ctx context.Context, origin netip.Prefix, returning bool) error {
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
		t.line(origin)
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
		t.pass()
	default:
		w.gaveUp = true
	}
	return ctx.Err()
}

// end gives the turn to the next one.
func (t *turns) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pass()
}

// pass is for the caller to hold t.mu.
func (t *turns) pass() {
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
			t.line(origin)
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

// line puts an origin at the end of the line of the first one in its queue. The caller
// holds t.mu.
func (t *turns) line(origin netip.Prefix) {
	which := 0
	if t.queues[origin][0].returning {
		which = 1
	}
	t.order[which] = append(t.order[which], origin)
}
