//go:build !linux && !windows

package config

// DefaultPaths gives paths in the home folder of the user.
func DefaultPaths() Paths { return userPaths() }
