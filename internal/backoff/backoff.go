// Package backoff computes how long to wait before the next attempt after a failure. The caller
// waits and counts the failures.
//
//	var retry = backoff.Doubling{First: time.Second, Most: 10 * time.Second}
//	next := now.Add(retry.After(failures))
package backoff

import "time"

// Doubling waits First after one failure, and twice as long after each more, up to Most.
type Doubling struct {
	First, Most time.Duration // both more than 0
}

// After returns how long to wait after so many failures in a row, from 1 on.
func (d Doubling) After(failures int) time.Duration {
	wait := d.First
	for ; failures > 1 && wait < d.Most; failures-- {
		wait *= 2
	}
	return min(wait, d.Most)
}

// Spread returns a time between half of [Doubling.After] and all of it. jitter, a random number
// from 0 to 1, decides. So machines that fail together don't try again together.
func (d Doubling) Spread(failures int, jitter float64) time.Duration {
	half := d.After(failures) / 2
	return half + time.Duration(jitter*float64(half))
}
