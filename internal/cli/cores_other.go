//go:build !linux

package cli

// keepOutOfCores does nothing. On Windows, Go's runtime writes no dump of a crash by
// itself and doesn't let Windows Error Reporting; see docs/windows.md. macOS writes none
// unless somebody raises the limit.
func keepOutOfCores() {}
