package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport says who may import whom: packages of ours alone, "." is main. What
// isn't listed may import none.
var mayImport = map[string][]string{
	".":                   {"internal/cli"},
	"internal/cli":        {"installer", "service", "pki", "pki/certfile", "internal/bench", "internal/config", "internal/control", "internal/logging", "internal/osservice", "internal/atomicfile", "internal/dn", "internal/quote", "internal/tuning"},
	"internal/bench":      {"service"},
	"installer":           {"service", "pki", "pki/certfile", "internal/config", "internal/osservice", "internal/atomicfile", "internal/filerights", "internal/dn", "internal/quote"},
	"service":             {"tunnel", "pki", "pki/certfile", "internal/config", "internal/control", "internal/logging", "internal/osservice", "internal/atomicfile", "internal/filerights", "internal/dn", "internal/quote", "internal/tuning"},
	"pki":                 {"pki/certfile", "internal/atomicfile", "internal/chain", "internal/filerights", "internal/dn", "internal/quote", "internal/strength"},
	"pki/certfile":        {"internal/chain", "internal/dn", "internal/quote", "internal/strength"},
	"tunnel":              {"tunnel/pool", "internal/chain", "internal/diagnose", "internal/dn", "internal/quote", "internal/strength"},
	"tunnel/pool":         nil,
	"internal/logging":    {"internal/config", "internal/atomicfile", "internal/filerights", "internal/quote"},
	"internal/control":    {"internal/config", "internal/osservice"},
	"internal/osservice":  {"internal/config", "internal/logging"},
	"internal/testkit":    nil,
	"internal/config":     {"internal/quote"},
	"internal/atomicfile": {"internal/filerights"},
	"internal/filerights": nil,
	"internal/chain":      {"internal/dn"},
	"internal/diagnose":   {"internal/chain", "internal/dn", "internal/quote", "internal/strength"},
	"internal/dn":         nil,
	"internal/strength":   nil,
	"internal/tuning":     nil,
	"internal/quote":      nil,
}

// TestImports keeps the layers apart: the data plane knows no files, the config
// no certificates, and nobody the command line.
func TestImports(t *testing.T) {
	seen := map[string]bool{}
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		pkg := filepath.ToSlash(filepath.Dir(path))
		seen[pkg] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		for _, imported := range file.Imports {
			name, err := strconv.Unquote(imported.Path.Value)
			if err != nil {
				return err
			}
			ours, ok := strings.CutPrefix(name, "tlstunnel/")
			if ok && !slices.Contains(mayImport[pkg], ours) {
				t.Errorf("%s imports %s", path, name)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if !seen["tunnel"] || !seen["internal/cli"] {
		t.Errorf("looked at %v only", seen)
	}
}
