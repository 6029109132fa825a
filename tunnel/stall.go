package tunnel

import (
	"sync"
	"time"
)

// checksPerLimit is how often a limit is divided to look for progress, and so
// how late an end can be: an eighth of the limit.
const checksPerLimit = 8

// stall ends a connection that makes no progress. Progress is a byte moved, or
// one that the kernel got rid of: a slow reader can take minutes to make room
// for our next write, and isn't stalled. We see that only as often as the
// reader's kernel tells: Linux does once a sixteenth of its receive buffer is
// free, at the most 2 MiB.
type stall struct {
	conn   *conn
	expire func(code string)

	mu    sync.Mutex  // guards what follows
	timer *time.Timer // nil until there is a limit
	done  bool
	limit time.Duration // 0: none
	code  string        // of the diagnosis, once it is over
	last  progress
	since time.Time // when last was new
}

type progress struct {
	moved  int64 // bytes, both ways
	unsent int   // bytes that the kernel holds for either side
}

// watchStall returns a stall that calls expire when c makes no progress within
// the limit that setLimit gives it. The caller must stop it.
func watchStall(c *conn, expire func(code string)) *stall {
	return &stall{conn: c, expire: expire}
}

// setLimit makes limit the one in force, counted from now, unless a tighter one
// is; 0 changes nothing.
func (s *stall) setLimit(limit time.Duration, code string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if limit == 0 || s.limit != 0 && s.limit <= limit {
		return
	}
	s.limit, s.code = limit, code
	s.last, s.since = s.progress(), time.Now()
	if s.timer == nil {
		s.timer = time.AfterFunc(limit/checksPerLimit, s.check)
	} else {
		s.timer.Reset(limit / checksPerLimit)
	}
}

// stop ends the watch. After it, expire isn't called any more.
func (s *stall) stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
	if s.timer != nil {
		s.timer.Stop()
	}
}

func (s *stall) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done {
		return
	}
	now := time.Now()
	if p := s.progress(); p != s.last {
		s.last, s.since = p, now
	}
	if now.Sub(s.since) >= s.limit {
		s.expire(s.code)
		return
	}
	s.timer.Reset(s.limit / checksPerLimit)
}

func (s *stall) progress() progress {
	c := s.conn
	front, _ := c.front.socket.Unacknowledged()
	back, _ := c.back.socket.Unacknowledged()
	return progress{
		moved:  c.toBack.Load() + c.toFront.Load(),
		unsent: front + back,
	}
}
