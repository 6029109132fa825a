package service

import "tlstunnel/internal/logging"

// Host is what a service manager is to the service that speaks to us by other means than
// signals and sd_notify(3): the Windows service control manager. The zero value is none.
type Host struct {
	// Ready is called when every listener is open; nil for nobody.
	Ready func()

	// Log is what [logging.Open] was given: a reload sets its level, and the status says
	// if its file can't be written. Nil if nobody can.
	Log *logging.Control

	// Reload asks for a reload. Each value says by whom, for the log.
	Reload <-chan string
}
