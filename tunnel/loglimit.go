package tunnel

import (
	"cmp"
	"context"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// logLimiter keeps the log readable, and its history long, whatever strangers do. Of what
// those of one origin do alike, it lets a few lines a minute through. That is enough for
// an administrator who tries to mend a client. For all origins together there is a limit
// too. What goes beyond, it counts and tells of in summaries.
type logLimiter struct {
	every   time.Duration // 0: everything is let through
	summary func([]summary)

	mu     sync.Mutex // guards what follows
	events map[event]*count
	lines  float64 // that may be let through now
	since  time.Time
	timer  *time.Timer // calls sum while there are events
}

// event is what strangers do alike: the same outcome, for a reason of the same kind.
type event struct {
	origin   netip.Prefix // zero for those that the limiter has no room for
	outcome  outcome
	kind     string
	identity string // of a peer with a good certificate
}

// lines is how many of e are let through in a time of every. Health checks that wait in
// silence do so all the time.
func (e event) lines() int {
	if e.kind == sentNothing {
		return 1
	}
	return 5
}

type count struct {
	level   slog.Level
	until   time.Time
	lines   int // that may be let through until then
	skipped int64
}

// summary is how often an event was skipped. Its origin is zero if it is about several.
type summary struct {
	event
	level   slog.Level
	skipped int64
}

// For a tunnel that is attacked all the time, these are 20 lines a minute, 12 MB of log
// a day.
const (
	maxEvents   = 1024 // in a limiter, at some 200 bytes
	burst       = 30   // lines at once
	linesPer    = 10   // lines in a time of every, after that
	maxSummed   = 5    // events with a summary of their own
	sampleEvery = time.Minute
)

func newLogLimiter(summary func([]summary)) *logLimiter {
	l := &logLimiter{every: sampleEvery, summary: summary, events: make(map[event]*count), lines: burst}
	l.timer = time.AfterFunc(time.Hour, func() { l.sum(time.Now()) })
	l.timer.Stop()
	return l
}

// take reports whether this event is let through, and how many like it weren't before.
func (l *logLimiter) take(now time.Time, e event, level slog.Level) (skipped int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.every == 0 {
		return 0, true
	}
	c := l.events[e]
	if c == nil && len(l.events) >= maxEvents {
		e = event{outcome: e.outcome, kind: "several"}
		c = l.events[e]
	}
	if c == nil {
		if len(l.events) == 0 {
			l.timer.Reset(l.every)
		}
		c = &count{level: level}
		l.events[e] = c
	}
	c.level = max(c.level, level)
	if !now.Before(c.until) {
		c.until, c.lines = now.Add(l.every), e.lines()
	}
	if c.lines == 0 || !l.line(now) {
		c.skipped++
		return 0, false
	}
	c.lines--
	skipped, c.skipped = c.skipped, 0
	return skipped, true
}

// line takes one of the lines that may be written now, if there is any.
func (l *logLimiter) line(now time.Time) bool {
	l.lines = min(burst, l.lines+linesPer*float64(now.Sub(l.since))/float64(l.every))
	l.since = now
	if l.lines < 1 {
		return false
	}
	l.lines--
	return true
}

// sum tells of what was skipped of the events whose time is over, and forgets them.
func (l *logLimiter) sum(now time.Time) {
	l.mu.Lock()
	var all []summary
	for e, c := range l.events {
		if now.Before(c.until) {
			continue
		}
		delete(l.events, e)
		if c.skipped > 0 {
			all = append(all, summary{e, c.level, c.skipped})
		}
	}
	if len(l.events) > 0 {
		l.timer.Reset(l.every)
	}
	l.mu.Unlock()
	l.summary(brief(all))
}

// stop tells of all that was skipped. After it, the limiter must not be used.
func (l *logLimiter) stop() {
	l.timer.Stop()
	l.sum(time.Now().Add(2 * l.every))
	l.timer.Stop()
}

// brief has those with the highest counts first, and makes one for each outcome of the
// rest.
func brief(all []summary) []summary {
	slices.SortFunc(all, func(a, b summary) int {
		return cmp.Or(cmp.Compare(b.skipped, a.skipped), a.origin.Addr().Compare(b.origin.Addr()), cmp.Compare(a.kind, b.kind), cmp.Compare(a.identity, b.identity))
	})
	if len(all) <= maxSummed {
		return all
	}
	rest := make(map[outcome]*summary)
	for _, s := range all[maxSummed:] {
		r := rest[s.outcome]
		if r == nil {
			r = &summary{event{outcome: s.outcome, kind: "several"}, s.level, 0}
			rest[s.outcome] = r
		}
		r.level = max(r.level, s.level)
		r.skipped += s.skipped
	}
	all = all[:maxSummed:maxSummed]
	for o := refused; o <= completed; o++ {
		if r := rest[o]; r != nil {
			all = append(all, *r)
		}
	}
	return all
}

// logSummaries writes a line for each.
func (t *Tunnel) logSummaries(all []summary) {
	log := t.settings.Load().log
	for _, s := range all {
		attrs := []slog.Attr{slog.String("peer", s.peer())}
		if s.identity != "" {
			attrs = append(attrs, slog.String("identity", s.identity))
		}
		attrs = append(attrs, slog.String("reason", s.kind), slog.Int64("skipped", s.skipped))
		log.LogAttrs(context.Background(), s.level, s.outcome.message(), attrs...)
	}
}

func (s *summary) peer() string {
	switch {
	case !s.origin.IsValid():
		return "others"
	case s.origin.IsSingleIP():
		return s.origin.Addr().String()
	default:
		return s.origin.String()
	}
}

// kind is what endings of the same kind have in common: what a reason says after a
// colon is about the one connection.
func (e *ending) kind() string {
	kind, _, _ := strings.Cut(e.reason, ":")
	return clipTo(kind, 100)
}

// limiterFor is the limiter that counts c, which ended so; nil if it has its line in any case.
// Peers that are refused in spite of a good certificate have one for themselves, so that
// strangers can't keep their lines from the log.
func (t *Tunnel) limiterFor(c *conn, end *ending) *logLimiter {
	switch {
	case c.hasProved() && end.outcome == refused:
		return t.refusals
	case c.hasProved():
		return nil
	case end.outcome <= handshakeFailed, c.settings.Front != nil && c.toBack.Load() == 0:
		return t.strange
	default:
		return nil
	}
}
