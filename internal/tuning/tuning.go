// Package tuning holds the settings of the process for speed and memory: how often the Go
// runtime collects garbage, how exact the timers are, and when memory goes back to the system.
// It knows nothing of connections.
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

// gcPercent is how much garbage may pile up, in percent of the memory in use
// (debug.SetGCPercent). Short connections leave much garbage while little memory is in use, so
// Go's default of 100 would collect too often.
const gcPercent = 200

// Apply makes the settings for the whole process. It doesn't override GOGC in the environment.
func Apply() {
	allowTimerSlack()
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
}
