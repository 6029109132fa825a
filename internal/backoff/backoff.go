// Package backoff says how long to wait before the next attempt at what has failed. It
// neither waits nor counts: the caller does.
//
//	var retry = backoff.Doubling{First: time.Second, Most: 10 * time.Second}
//	next := now.Add(retry.After(failures))
package backoff

import "time"

// Doubling waits First after one failure, and twice as long after each more, up to Most.
type Doubling struct {
	First, Most time.Duration // both more than 0
}

// After is how long to wait after so many failures in a row, from 1 on.
func (d Doubling) After(failures int) time.Duration {
	wait := d.First
	for ; failures > 1 && wait < d.Most; failures-- {
		wait *= 2
	}
	return min(wait, d.Most)
}

// Spread is [Doubling.After], half of it left to chance by jitter from 0 to 1, so that
// machines that fail together don't try again together. It is never more than Most.
func (d Doubling) Spread(failures int, jitter float64) time.Duration {
	half := d.After(failures) / 2
	return half + time.Duration(jitter*float64(half))
}
