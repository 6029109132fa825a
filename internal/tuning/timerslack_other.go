//go:build !linux

package tuning

// allowTimerSlack does nothing: this system has no such setting.
func allowTimerSlack() {}
