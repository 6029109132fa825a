package tunnel

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"
)

// logLimiter keeps the log readable, and its history long, whatever strangers do. Of what
// those of one origin do alike, it lets some lines a minute through. That is enough for
// an administrator who tries to mend a client. For all origins together there is a limit
// too, and the more of it an origin has had, the more must be left for others. What goes
// beyond, it counts and tells of in summaries.
type logLimiter struct {
	limits
	every   time.Duration // 0: everything is let through
	summary func([]summary)

	mu     sync.Mutex // guards what follows
	events map[event]*count
	shares map[doer]share
	lines  float64 // that may be let through now
	since  time.Time
	timer  *time.Timer // calls sum while there are events
}

// limits are of a logLimiter.
type limits struct {
	alike int     // lines of an event in a time of every
	burst float64 // lines at once
	rate  float64 // lines in a time of every, after that

	// A doer gets a line only if spare lines are left for each that it has had in this time
	// of every. If it had any within rememberFor, that count begins with before. So lines are
	// left for those that haven't been heard yet.
	spare  float64
	before int
}

// If a tunnel is attacked all the time, ofStrangers is 20 lines a minute with the summaries,
// 12 MB of log a day. One doer alone can have 10 lines at once, and of ofRelayed 300.
var (
	ofStrangers = limits{alike: 5, burst: 30, rate: 10, spare: 2, before: 3}
	ofRelayed   = limits{alike: 300, burst: 700, rate: 300, spare: 1, before: 60}
)

const (
	maxEvents   = 1024 // in a limiter, at some 300 bytes, and up to 1,000 for a reason
	maxSummed   = 5    // events with a summary of their own
	sampleEvery = time.Minute
	rememberFor = time.Hour
)

// event is what strangers do alike: the same outcome, for a reason of the same kind.
type event struct {
	doer    // zero for those that the limiter has no room for
	outcome outcome
	code    string // of the diagnosis
	kind    string // the same in words
}

// doer is somebody who has a share of the lines.
type doer struct {
	origin   netip.Prefix
	identity string // of a peer with a good certificate
}

// share is what a doer has had of the lines.
type share struct {
	until time.Time
	had   int // lines until then
}

// tally is what connections of an event come to.
type tally struct {
	level            slog.Level // the highest
	reason           string     // "" if there are several
	skipped          int64
	toTarget, toPeer int64 // bytes
}

func (t *tally) add(more tally) {
	if t.skipped == 0 {
		*t = more
		return
	}
	if t.reason != more.reason {
		t.reason = ""
	}
	t.level = max(t.level, more.level)
	t.skipped += more.skipped
	t.toTarget += more.toTarget
	t.toPeer += more.toPeer
}

// count is what a limiter knows of an event.
type count struct {
	tally // of those that were skipped
	until time.Time
	lines int // that may be let through until then
}

// summary is how often an event was skipped. Its doer is zero if it is about several.
type summary struct {
	event
	tally
}

func newLogLimiter(limits limits, summary func([]summary)) *logLimiter {
	l := &logLimiter{limits: limits, every: sampleEvery, summary: summary,
		events: make(map[event]*count), shares: make(map[doer]share), lines: limits.burst}
	l.timer = time.AfterFunc(time.Hour, func() { l.sum(time.Now()) })
	l.timer.Stop()
	return l
}

// allow reports whether one, which is of one connection, is let through. If it is, it may
// report how many like it weren't before. Relayed ones are told of in summaries alone, as
// these have their bytes.
func (l *logLimiter) allow(now time.Time, one summary) (skipped int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.every == 0 {
		return 0, true
	}
	c := l.count(now, one.event)
	if c.lines == 0 || !l.line(now, one.doer) {
		c.add(one.tally)
		return 0, false
	}
	c.lines--
	if one.outcome < interrupted {
		skipped, c.skipped = c.skipped, 0
	}
	return skipped, true
}

// count is that of e, or of all that there is no room for.
func (l *logLimiter) count(now time.Time, e event) *count {
	c := l.events[e]
	if c == nil && len(l.events) >= maxEvents {
		e = event{outcome: e.outcome}
		c = l.events[e]
	}
	if c == nil {
		if len(l.events) == 0 {
			l.timer.Reset(l.every)
		}
		c = &count{}
		e.kind = strings.Clone(e.kind) // a part of a longer text
		l.events[e] = c
	}
	if !now.Before(c.until) {
		c.until, c.lines = now.Add(l.every), l.linesFor(e)
	}
	return c
}

// linesFor is how many lines of e are let through in a time of every. Health checks that
// wait in silence do so all the time.
func (l *logLimiter) linesFor(e event) int {
	switch {
	case e.code == silentPeer:
		return 1
	case e.kind == "":
		return int(l.burst) // there is no room to tell those apart
	default:
		return l.alike
	}
}

// line takes one of the lines that may be written now, if there is any for d.
func (l *logLimiter) line(now time.Time, d doer) bool {
	l.lines = min(l.burst, l.lines+l.rate*float64(now.Sub(l.since))/float64(l.every))
	l.since = now
	s, known := l.shares[d]
	if !now.Before(s.until) {
		s = share{until: now.Add(l.every)}
		if known {
			s.had = l.before
		}
	}
	if l.lines < 1+l.spare*float64(s.had) {
		return false
	}
	l.lines--
	s.had++
	if !known && len(l.shares) >= maxEvents {
		clear(l.shares) // all begin anew
	}
	l.shares[d] = s
	return true
}

// sum tells of what was skipped, and forgets the events whose time is over.
func (l *logLimiter) sum(now time.Time) {
	l.mu.Lock()
	var all []summary
	for e, c := range l.events {
		if c.skipped > 0 {
			all = append(all, summary{e, c.tally})
			c.tally = tally{}
		}
		if !now.Before(c.until) {
			delete(l.events, e)
		}
	}
	maps.DeleteFunc(l.shares, func(_ doer, s share) bool { return now.Sub(s.until) > rememberFor })
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
	var rest [completed + 1]tally
	for _, s := range all[maxSummed:] {
		rest[s.outcome].add(s.tally)
	}
	all = all[:maxSummed:maxSummed]
	for o, tally := range rest {
		if tally.skipped > 0 {
			all = append(all, summary{event{outcome: outcome(o)}, tally})
		}
	}
	return all
}

// logSummaries writes a line for each.
func (t *Tunnel) logSummaries(all []summary) {
	log := t.settings.Load().log
	for _, s := range all {
		log.LogAttrs(context.Background(), s.level, s.outcome.message(), s.attrs()...)
	}
}

func (s *summary) attrs() []slog.Attr {
	a := []slog.Attr{slog.String("peer", s.peer())}
	if s.identity != "" {
		a = append(a, slog.String("identity", s.identity))
	}
	if s.code != "" {
		a = append(a, slog.String("code", s.code))
	}
	a = append(a, slog.String("reason", s.why()), slog.Int64("skipped", s.skipped))
	if s.outcome >= interrupted {
		a = append(a, slog.Int64("to_target", s.toTarget), slog.Int64("to_peer", s.toPeer))
	}
	return a
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

// why is the reason, or what the reasons have in common.
func (s *summary) why() string {
	switch {
	case s.reason != "":
		return s.reason
	case s.kind != "":
		return s.kind + "..."
	default:
		return "several"
	}
}

// kind is what endings of the same kind have in common: what a reason says after a
// colon or in quotes is about the one connection. There are so few kinds that those of
// one origin don't fill a limiter.
func (e *ending) kind() string {
	reason := e.String()
	if end := strings.IndexAny(reason, `:"`); end > 0 {
		return strings.TrimSpace(reason[:end])
	}
	return reason
}

// limiterFor is the limiter that counts c, which ended so; nil if it has its line in any case.
// Peers that are refused in spite of a good certificate have one for themselves, so that
// strangers can't keep their lines from the log. Peers that have proved nothing, but sent
// something to the target, have another one: as a rule, such a tunnel is meant for them.
func (t *Tunnel) limiterFor(c *conn, end *ending) *logLimiter {
	switch {
	case c.hasProved() && end.outcome == refused:
		return t.refusals
	case c.hasProved():
		return nil
	case end.outcome <= handshakeFailed, c.settings.Front != nil && c.toBack.Load() == 0:
		return t.strange
	default:
		return t.relayed
	}
}
