package service

import "os"

// reloadSignals returns no channel: Windows has no such signal. The service control
// manager asks through [Host].
func reloadSignals() (signals <-chan os.Signal, stop func()) {
	return nil, func() {}
}
