package config

import (
	"path/filepath"
	"strings"
)

// samePath compares absolute paths as texts.
func samePath(a, b string) bool {
	return strings.EqualFold(filepath.Clean(a), filepath.Clean(b))
}
