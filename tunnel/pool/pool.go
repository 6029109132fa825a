// Package pool remembers which of several places could be reached: the targets of a
// tunnel, or the addresses of one host name. It says in which order to try them, and
// when one that is down may be tried again. It dials nothing itself and has no
// goroutines.
//
//	p := pool.New(time.Now)
//	p.Set([]string{"a:104", "b:104"})
//	for _, target := range pool.Order(p, targets, Target.Name) {
//		... p.Works(target.Name) or p.Failed(target.Name, "target.refused", "nothing listens there")
//	}
package pool

import (
	"slices"
	"sync"
	"time"

	"tlstunnel/internal/backoff"
)

// retry is how long a place that is down is left alone before somebody may try it again.
var retry = backoff.Doubling{
	First: time.Second,
	Most:  30 * time.Second, // so long at most a place that is back isn't used
}

// A Pool is a list of places. Its methods may be called by several goroutines. It has
// no more places than the last Set gave it: what is said of others is forgotten.
type Pool struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows
	places []*place   // in the order of preference
}

type place struct {
	name   string
	since  time.Time // when it went down; zero: it is up, or was never tried
	failed time.Time // when it couldn't be reached the last time
	code   string    // of the last failure
	reason string    // likewise

	tries  int       // in vain since it went down; what failed together counts once
	again  time.Time // when it may be tried
	trying bool
}

// New returns a pool without places. The function now is [time.Now], but in tests.
func New(now func() time.Time) *Pool { return &Pool{now: now} }

// Set makes names the places, in this order of preference. What is known of those
// that the pool has already stays known.
func (p *Pool) Set(names []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make([]*place, 0, len(names))
	for _, name := range names {
		at := p.find(name)
		if at == nil {
			at = &place{name: name}
		}
		next = append(next, at)
	}
	p.places = next
}

// Order sorts items, each of which is at the place with that name, into the order in
// which to try them: first those that work, as they are, then those that are down. Of
// these, the one that worked last is first.
func Order[T any](p *Pool, items []T, name func(T) string) []T {
	p.mu.Lock()
	defer p.mu.Unlock()
	down := func(item T) time.Time {
		if at := p.find(name(item)); at != nil {
			return at.since
		}
		return time.Time{}
	}
	sorted := slices.Clone(items)
	slices.SortStableFunc(sorted, func(a, b T) int {
		sinceA, sinceB := down(a), down(b)
		if sinceA.IsZero() || sinceB.IsZero() {
			return sinceA.Compare(sinceB) // the zero time is before all others
		}
		return sinceB.Compare(sinceA)
	})
	return sorted
}

// Works says that a place could be reached.
func (p *Pool) Works(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.find(name); at != nil {
		at.since, at.failed, at.code, at.reason, at.tries, at.again = time.Time{}, time.Time{}, "", "", 0, time.Time{}
	}
}

// Failed says that a place couldn't be reached, and why: by a code for programs, and in
// words.
func (p *Pool) Failed(name, code, reason string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at, now := p.find(name), p.now()
	if at == nil {
		return
	}
	at.code, at.reason, at.failed = code, reason, now
	if at.since.IsZero() {
		at.since = now
	}
	if !now.Before(at.again) { // else many have failed together, which counts once
		at.tries++
		at.again = now.Add(retry.After(at.tries))
	}
}

// Try tells whether the caller is to try a place that is down. If it is, nobody else
// is until the caller has called Tried, after Works or Failed.
func (p *Pool) Try(name string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.find(name)
	if at == nil || at.since.IsZero() || at.trying || p.now().Before(at.again) {
		return false
	}
	at.trying = true
	return true
}

// Tried ends what Try has begun.
func (p *Pool) Tried(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.find(name); at != nil {
		at.trying = false
	}
}

// TryAll lets each place that is down be tried at once, for example as the settings
// have changed that it failed with.
func (p *Pool) TryAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.places {
		at.tries, at.again = 0, time.Time{}
	}
}

// State is how a place does.
type State struct {
	Name   string
	Since  time.Time // when it went down; zero: it works, or was never tried
	Failed time.Time // when it couldn't be reached the last time
	Code   string    // why it couldn't be reached the last time
	Reason string    // likewise, in words
}

// States are those of all places, in the order of preference.
func (p *Pool) States() []State {
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]State, len(p.places))
	for i, at := range p.places {
		states[i] = State{at.name, at.since, at.failed, at.code, at.reason}
	}
	return states
}

func (p *Pool) find(name string) *place {
	for _, at := range p.places {
		if at.name == name {
			return at
		}
	}
	return nil
}
