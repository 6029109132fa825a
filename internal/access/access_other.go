//go:build !linux && !windows

package access

// installedAccess returns nil: this system has no installed service.
func installedAccess(string) refuser { return nil }
