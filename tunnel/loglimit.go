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

// logLimiter limits the log lines that strangers can cause, so that the log stays readable and
// its history long. For each event of each origin it allows some lines a minute: enough for an
// administrator who repairs a client. All origins together have a limit too. The more lines an
// origin has had, the more must be left for others. The limiter counts the skipped lines and
// reports them in summaries.
type logLimiter struct {
	limits
	every   time.Duration // the period of the limits; 0: no limit
	summary func([]summary)

	mu     sync.Mutex // guards the fields below
	events map[event]*count
	shares map[peerKey]share
	lines  float64 // how many lines are allowed now
	since  time.Time
	timer  *time.Timer // calls writeSummaries while there are events
}

// limits are the limits of a logLimiter.
type limits struct {
	alike int     // lines of an event in a period
	burst float64 // lines at once
	rate  float64 // lines in a period after a burst

	// A peer gets a line only if spare lines are left for each line that it has had in this
	// period. If it had any within rememberFor, that count begins with before. So lines are left
	// for peers that had none yet.
	spare  float64
	before int
}

// If a tunnel is attacked all the time, ofStrangers is 20 lines a minute with the summaries,
// 12 MB of log a day. A single peer can have 10 lines at once, and 300 of ofRelayed.
var (
	ofStrangers = limits{alike: 5, burst: 30, rate: 10, spare: 2, before: 3}
	ofRelayed   = limits{alike: 300, burst: 700, rate: 300, spare: 1, before: 60}
)

const (
	maxEvents   = 1024 // in a limiter; each takes some 300 bytes, with a long reason up to 1,000 more
	maxSummed   = 5    // events with a summary of their own
	sampleEvery = time.Minute
	rememberFor = time.Hour
)

// event is the same for connections of one peer with the same outcome and the same kind of
// reason.
type event struct {
	peerKey // zero for events that the limiter has no room for
	outcome outcome
	code    string // of the diagnosis
	kind    string // the part of the reason that such events have in common
}

// peerKey tells apart the peers that share the lines.
type peerKey struct {
	origin   netip.Prefix
	identity string // of a peer with a good certificate
}

// share counts the lines of a peer.
type share struct {
	until time.Time
	had   int // lines until then
}

// tally adds up the connections of an event.
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

// count has the state of an event.
type count struct {
	tally // of the skipped connections
	until time.Time
	lines int // how many more lines are allowed until then
}

// summary says how often an event was skipped. Its peerKey is zero if it is about several peers.
type summary struct {
	event
	tally
}

func newLogLimiter(limits limits, summary func([]summary)) *logLimiter {
	l := &logLimiter{limits: limits, every: sampleEvery, summary: summary,
		events: make(map[event]*count), shares: make(map[peerKey]share), lines: limits.burst}
	l.timer = time.AfterFunc(time.Hour, func() { l.writeSummaries(time.Now()) })
	l.timer.Stop()
	return l
}

// allow reports whether one, the summary of a single connection, gets its line. If so, skipped
// is how many connections like it got none before. For relayed connections it is 0: only
// summaries report those, with their bytes.
func (l *logLimiter) allow(now time.Time, one summary) (skipped int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.every == 0 {
		return 0, true
	}
	c := l.count(now, one.event)
	if c.lines == 0 || !l.spendLine(now, one.peerKey) {
		c.add(one.tally)
		return 0, false
	}
	c.lines--
	if one.outcome < interrupted {
		skipped, c.skipped = c.skipped, 0
	}
	return skipped, true
}

// count returns the count of e. If there is no room for e, it is the common count of all such
// events.
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
		e.kind = strings.Clone(e.kind) // so that the map doesn't hold the longer text
		l.events[e] = c
	}
	if !now.Before(c.until) {
		c.until, c.lines = now.Add(l.every), l.linesFor(e)
	}
	return c
}

// linesFor returns how many lines of e are allowed in a period. Health checks that send nothing
// come all the time, so they get fewer.
func (l *logLimiter) linesFor(e event) int {
	switch {
	case e.code == silentPeer:
		return 1
	case e.kind == "":
		return int(l.burst) // the common event of many peers
	default:
		return l.alike
	}
}

// spendLine uses up one of the allowed lines, if there is one for d.
func (l *logLimiter) spendLine(now time.Time, d peerKey) bool {
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
		clear(l.shares) // all peers begin again
	}
	l.shares[d] = s
	return true
}

// writeSummaries reports what was skipped, and forgets events whose period is over.
func (l *logLimiter) writeSummaries(now time.Time) {
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
	maps.DeleteFunc(l.shares, func(_ peerKey, s share) bool { return now.Sub(s.until) > rememberFor })
	if len(l.events) > 0 {
		l.timer.Reset(l.every)
	}
	l.mu.Unlock()
	l.summary(mostFrequent(all))
}

// stop reports all that was skipped. Don't use the limiter after it.
func (l *logLimiter) stop() {
	l.timer.Stop()
	l.writeSummaries(time.Now().Add(2 * l.every))
	l.timer.Stop()
}

// mostFrequent returns the summaries with the highest counts first, and adds up the rest to one
// for each outcome.
func mostFrequent(all []summary) []summary {
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

// logSummaries writes a line for each summary.
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
	a = append(a, slog.String("reason", s.commonReason()), slog.Int64("skipped", s.skipped))
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

// commonReason returns the reason, or the part that the reasons have in common.
func (s *summary) commonReason() string {
	switch {
	case s.reason != "":
		return s.reason
	case s.kind != "":
		return s.kind + "..."
	default:
		return "several"
	}
}

// reasonKind returns the part of the reason that is the same for similar endings: the text
// before a colon or a quote. What follows is about the single connection. There are so few kinds
// that one origin can't fill a limiter.
func (e *ending) reasonKind() string {
	reason := e.String()
	if end := strings.IndexAny(reason, `:"`); end > 0 {
		return strings.TrimSpace(reason[:end])
	}
	return reason
}

// limiterFor returns the limiter for c, which ended so, or nil if c always gets its line. Peers
// that are refused in spite of a good certificate have a limiter of their own: so strangers
// can't keep their lines from the log. Peers without a certificate that sent something to the
// target have another one: such a tunnel is usually meant for them.
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
