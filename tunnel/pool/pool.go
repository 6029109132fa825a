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

// retry is the wait before a place that is down may be tried again.
var retry = backoff.Doubling{
	First: time.Second,
	Most:  30 * time.Second, // a place that works again is used after this time at the latest
}

// A Pool is a list of places. Its methods may be called by several goroutines. It has the
// places of the last Set, and ignores results for others.
type Pool struct {
	now func() time.Time

	mu     sync.Mutex // guards what follows
	places []*place   // in the order of preference
}

type place struct {
	name   string
	since  time.Time // when it went down; zero: it is up, or was never tried
	failed time.Time // the time of the last failure
	code   string    // the code of the last failure
	reason string    // the reason of the last failure
	tries  int       // failures since it went down; simultaneous ones count once
	again  time.Time // when it may be tried again
	trying bool
}

// New returns a pool without places. now is [time.Now], except in tests.
func New(now func() time.Time) *Pool { return &Pool{now: now} }

// Set makes names the places, in this order of preference. Places that the pool has already keep
// their state.
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

// Order sorts items into the order in which to try their places: first the places that work, in
// the order of items, then those that are down, beginning with the one that worked last.
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
			return sinceA.Compare(sinceB) // a place that is up has the zero time
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
	if !now.Before(at.again) { // otherwise many failed at the same time, which counts once
		at.tries++
		at.again = now.Add(retry.After(at.tries))
	}
}

// Try reports whether the caller must try a place that is down. If so, it returns false to all
// others until the caller calls Tried, after Works or Failed.
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

// Tried ends an attempt that Try has allowed.
func (p *Pool) Tried(name string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := p.find(name); at != nil {
		at.trying = false
	}
}

// TryAll ends the wait of each place that is down, for example because new settings may have
// repaired it.
func (p *Pool) TryAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, at := range p.places {
		at.tries, at.again = 0, time.Time{}
	}
}

// State is the state of a place.
type State struct {
	Name   string
	Since  time.Time // when it went down; zero: it works, or was never tried
	Failed time.Time // the time of the last failure
	Code   string    // the code of the last failure
	Reason string    // the reason of the last failure
}

// States returns the states of all places, in the order of preference.
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
