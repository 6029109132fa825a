// Package tuning holds the settings of the process that speed and memory depend on: how
// often the Go runtime collects garbage, how exact the timers of the system are, and when
// memory goes back to the system. What a tunnel does with its connections isn't here.
//
//	tuning.Apply() // once, at the start
//	memory := tuning.NewMemory()
//	for range time.Tick(tuning.MemoryInterval) {
//		memory.Look()
//	}
package tuning

import (
	"os"
	"runtime/debug"
)

// gcPercent is how much garbage there may be for what is in use (debug.SetGCPercent).
// Connections that come and go leave much and use little.
const gcPercent = 200

// Apply makes the settings for the whole process. A GOGC in the environment stays as it is:
// somebody has chosen it.
func Apply() {
	allowTimerSlack()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
