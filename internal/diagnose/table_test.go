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

	"tlstunnel/internal/chain"
)

// Every code in the source has a row, for each side that it may be about. Every row is in
// use, and each has a code of its own.
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
			ofChain := slices.ContainsFunc(chain.Kinds, func(k chain.Kind) bool { return k.Code == name })
			if !used[r.code] && !used["*."+name] && !ofChain {
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

// codesInSource are the strings that look like codes, in the source of the program without
// the table.
func codesInSource(t *testing.T) map[string]bool {
	t.Helper()
	codes := make(map[string]bool)
	inspect(t, func(n ast.Node) {
		if code := literal(n); isCode.MatchString(code) {
			codes[code] = true
		}
	})
	return codes
}

// A diagnosis gives a value to every word in the braces of its row.
func TestEveryWordIsFilledIn(t *testing.T) {
	calls := 0
	inspect(t, func(n ast.Node) {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 || !isCode.MatchString(literal(call.Args[0])) {
			return
		}
		code, values := literal(call.Args[0]), []string{"{side}", "{whose}"}
		for i := 1; i < len(call.Args); i += 2 {
			values = append(values, "{"+literal(call.Args[i])+"}")
		}
		for _, code := range []string{code, strings.Replace(code, "*", Peer, 1), strings.Replace(code, "*", Target, 1)} {
			r, ok := rows[code]
			for _, word := range regexp.MustCompile(`\{[a-z]+\}`).FindAllString(r.what+r.remedy, -1) {
				if ok && !slices.Contains(values, word) {
					t.Errorf("%s: nothing is filled in for %s", code, word)
				}
			}
		}
		calls++
	})
	if calls < 50 {
		t.Errorf("found %d calls alone", calls)
	}
}

// literal is the string that n has, "" if n isn't a string literal.
func literal(n ast.Node) string {
	if l, ok := n.(*ast.BasicLit); ok && l.Kind == token.STRING {
		text, _ := strconv.Unquote(l.Value)
		return text
	}
	return ""
}

// inspect goes through the source of the program without the table.
func inspect(t *testing.T, do func(ast.Node)) {
	t.Helper()
	for _, dir := range []string{".", "../../tunnel", "../../pki", "../cli"} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") || filepath.Base(path) == "table.go" {
				return err
			}
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool { do(n); return true })
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
