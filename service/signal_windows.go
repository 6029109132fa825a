package service

import "os"

// reloadSignals gives nothing: Windows has no such signal. The service control
// manager asks through [Host].
func reloadSignals() (signals <-chan os.Signal, stop func()) {
	return nil, func() {}
}
