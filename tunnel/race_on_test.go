//go:build race

package tunnel

// raceDetector makes bulk transfers smaller: it slows them down ten times.
const raceDetector = true
