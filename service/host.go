package service

import "tlstunnel/internal/logging"

// Host connects the service to a service manager that uses neither signals nor sd_notify(3):
// the Windows service control manager. The zero value is no such manager.
type Host struct {
	// Ready is called when every listener is open. It may be nil.
	Ready func()

	// Log is the control that [logging.Open] was given. A reload sets its level, and the
	// status says if its file can't be written. It may be nil.
	Log *logging.Control

	// Reload asks for a reload. Each value is the cause, for the log.
	Reload <-chan string
}
