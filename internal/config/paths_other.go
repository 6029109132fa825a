//go:build !linux && !windows

package config

// DefaultPaths returns paths in the home folder of the user.
func DefaultPaths() Paths { return userPaths() }
