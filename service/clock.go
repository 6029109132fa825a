package service

import "time"

// maxJump is what a clock may move within a look without having been set: a time server
// slews it by less.
const maxJump = time.Minute

var started = time.Now()

// clockOffset is how far the clock of the day is before one that nobody sets, and that
// stands still while the machine sleeps.
func clockOffset() time.Duration {
	now := time.Now()
	return now.Round(0).Sub(started.Round(0)) - now.Sub(started)
}

// clockWatch notices that the clock was set, or that the machine has slept: no timer ends
// sooner or later for that.
type clockWatch struct {
	offset func() time.Duration
	last   time.Duration
}

func newClockWatch(offset func() time.Duration) *clockWatch {
	return &clockWatch{offset, offset()}
}

// jumped reports whether the clock has jumped since the last call.
func (c *clockWatch) jumped() bool {
	before := c.last
	c.last = c.offset()
	return (c.last - before).Abs() > maxJump
}
