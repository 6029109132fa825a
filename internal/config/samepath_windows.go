package config

import (
	"path/filepath"
	"strings"
)

// samePath compares the texts of absolute paths. Windows ignores the case of letters.
func samePath(a, b string) bool {
	return strings.EqualFold(filepath.Clean(a), filepath.Clean(b))
}
