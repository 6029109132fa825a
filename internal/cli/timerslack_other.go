//go:build !linux

package cli

// allowTimerSlack does nothing: this system has no such setting.
func allowTimerSlack() {}
