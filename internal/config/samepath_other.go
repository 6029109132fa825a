//go:build !windows

package config

import "path/filepath"

// samePath compares absolute paths as texts.
func samePath(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }
