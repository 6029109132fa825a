package service

import (
	"io"
	"log/slog"
)

// Host is a service manager that speaks to us by other means than signals and
// sd_notify(3): the Windows service control manager. The zero value is none.
type Host struct {
	// Ready is called when every listener is open; nil for nobody.
	Ready func()

	// Log is what [OpenLog] was given: a reload sets its level, and the status says if
	// its file can't be written. Nil if nobody can.
	Log *LogControl

	// Reload asks for a reload. Each value says by whom, for the log.
	Reload <-chan string

	// Events gets the lines of the service itself, beside the log; nil for
	// none. Console gets what would go to stderr, which a Windows service
	// doesn't have; nil for stderr.
	Events  slog.Handler
	Console io.Writer
}
