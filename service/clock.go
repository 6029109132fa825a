package service

import "time"

// maxJump is the largest change between two checks that doesn't count as a clock that was
// set. A time server that slews the clock moves it by less.
const maxJump = time.Minute

var started = time.Now()

// clockOffset returns how far the wall clock has moved ahead of the monotonic clock since the
// start. Nobody can set the monotonic clock, and it stops while the machine sleeps.
func clockOffset() time.Duration {
	now := time.Now()
	return now.Round(0).Sub(started.Round(0)) - now.Sub(started)
}

// clockWatch notices that the wall clock was set or that the machine has slept. Timers run on
// the monotonic clock, so neither of the two makes a timer fire.
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
