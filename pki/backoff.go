package pki

import "time"

const (
	firstWait = time.Minute
	mostWait  = 6 * time.Hour
)

// BackOff is how long to wait after so many failures in a row, from 1 on. It doubles
// with each, up to 6 hours. Half of it is chance, by jitter from 0 to 1, so that
// machines that fail together don't try again together.
func BackOff(failures int, jitter float64) time.Duration {
	wait := mostWait
	if failures < 10 { // 2^9 minutes are more than that
		wait = min(firstWait<<(failures-1), mostWait)
	}
	return wait/2 + time.Duration(jitter*float64(wait/2))
}
