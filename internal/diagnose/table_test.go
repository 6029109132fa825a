package diagnose

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// Every code in the source has a row, for each side that it may be about, and every row is
// in use. There are no two of one code.
func TestEveryCodeHasARow(t *testing.T) {
	used := codesInSource(t)
	if len(used) < 50 {
		t.Errorf("found %d codes alone", len(used))
	}
	for code := range used {
		_, whole := rows[code]
		_, ofPeer := rows[strings.Replace(code, "*", Peer, 1)]
		_, ofTarget := rows[strings.Replace(code, "*", Target, 1)]
		if !whole && !(ofPeer && ofTarget) {
			t.Errorf("%s has no row", code)
		}
	}
	seen := make(map[string]bool)
	for _, s := range table {
		for _, r := range s.rows {
			_, name, _ := strings.Cut(r.code, ".")
			if !used[r.code] && !used["*."+name] {
				t.Errorf("nothing says %s", r.code)
			}
			if seen[r.code] {
				t.Errorf("%s is there twice", r.code)
			}
			seen[r.code] = true
		}
	}
}

var isCode = regexp.MustCompile(`^(\*|peer|target|tlstunnel|acme)\.[a-z][a-z0-9_]*$`)

// codesInSource are the strings in the source of the program, but for the table, that look
// like codes.
func codesInSource(t *testing.T) map[string]bool {
	t.Helper()
	codes := make(map[string]bool)
	for _, dir := range []string{".", "../../tunnel", "../../pki", "../cli"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || slices.Contains(notSource, filepath.Base(path)) {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING {
					if text, err := strconv.Unquote(literal.Value); err == nil && isCode.MatchString(text) {
						codes[text] = true
					}
				}
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return codes
}

// notSource are files that have all codes.
var notSource = []string{"table.go", "symptoms.go"}
