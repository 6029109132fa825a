//go:build !unix

package config

import "time"

var started = time.Now()

// cpuTime is the time that has passed: more than the processor gave us.
func cpuTime() time.Duration { return time.Since(started) }
