//go:build !windows

package config

import "path/filepath"

// samePath compares the texts of absolute paths.
func samePath(a, b string) bool { return filepath.Clean(a) == filepath.Clean(b) }
