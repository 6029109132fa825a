package tunnel

import (
	"sync"
	"time"
)

// sampler allows one event a second, so that a flood of events doesn't become a flood of log
// lines. The zero value is ready for use.
type sampler struct {
	mu      sync.Mutex // guards what follows
	next    time.Time
	skipped int64
}

// allow reports whether this event is allowed, and how many were skipped since the last allowed
// one.
func (s *sampler) allow(now time.Time) (skipped int64, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Before(s.next) {
		s.skipped++
		return 0, false
	}
	skipped, s.skipped = s.skipped, 0
	s.next = now.Add(time.Second)
	return skipped, true
}
