//go:build !linux

package cli

// keepOutOfCores does nothing. On Windows, Go's runtime writes no dump of a crash, and stops Windows
// Error Reporting from writing one (docs/windows.md). macOS writes none unless an administrator
// raises the limit.
func keepOutOfCores() {}
