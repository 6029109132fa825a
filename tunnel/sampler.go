package tunnel

import (
	"sync"
	"time"
)

// sampler lets one event a second through, so that a flood of them doesn't
// become a flood of log lines. The zero value is ready for use.
type sampler struct {
	mu      sync.Mutex // guards what follows
	next    time.Time
	skipped int64
}

// allow reports whether this event is let through, and how many weren't since
// the last one that was.
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
