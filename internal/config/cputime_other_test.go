//go:build !unix

package config

import "time"

var started = time.Now()

// cpuTime is the time that has passed, which is more than the processor time used.
func cpuTime() time.Duration { return time.Since(started) }
