package tunnel

import (
	"net/netip"
	"sync"
)

// maxReturning is how many returning origins a tunnel remembers at least: those from which a
// peer was authorized after its handshake. In a flood of hellos from thousands of addresses,
// nothing else tells a peer from strangers before its handshake is over. Each tunnel has its own
// memory: one tunnel may let in peers that another refuses.
const maxReturning = 1024

// reserve is how many handshakes of a returning origin keep their place in a flood of strangers.
// It is small: an attacker may have completed a handshake once, too.
const reserve = 8

// recent remembers the origins that were added last: at least size, and at most twice as many.
type recent struct {
	size int

	mu          sync.Mutex // guards what follows
	now, before map[netip.Prefix]struct{}
}

func (r *recent) add(origin netip.Prefix) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.now[origin]; ok {
		return
	}
	if r.now == nil || len(r.now) >= r.size {
		r.now, r.before = make(map[netip.Prefix]struct{}), r.now
	}
	r.now[origin] = struct{}{}
}

func (r *recent) has(origin netip.Prefix) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, now := r.now[origin]
	_, before := r.before[origin]
	return now || before
}
