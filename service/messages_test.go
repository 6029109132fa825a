package service

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"tlstunnel/internal/logging"
	"tlstunnel/pki/acme"
)

// TestEventIDs: EventCreate.exe has texts for these numbers only, and no two
// events share one.
func TestEventIDs(t *testing.T) {
	seen := map[logging.EventID]string{logging.EventLogFile: "log file"}
	for message, id := range Messages {
		if id == 0 {
			continue
		}
		if other := seen[id]; id < 1 || id > 1000 || other != "" {
			t.Errorf("%q has %d, as %q", message, id, other)
		}
		seen[id] = message
	}
}

// TestHeadlines finds every message of this package and of pki/acme that isn't in the list,
// and every message in the list that isn't logged any more. The compiler finds those with a
// name.
func TestHeadlines(t *testing.T) {
	levels := map[string]bool{"Info": true, "Warn": true, "Error": true}
	found := map[string]bool{}
	files, err := filepath.Glob("*.go")
	check(t, err)
	more, err := filepath.Glob("../pki/acme/*.go")
	check(t, err)
	files = append(files, more...)
	named := []string{msgRefreshed, acme.MsgOrdering, acme.MsgNew}
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		check(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 {
				return true
			}
			method, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !levels[method.Sel.Name] {
				return true
			}
			if text, ok := call.Args[0].(*ast.BasicLit); ok && text.Kind == token.STRING {
				message, err := strconv.Unquote(text.Value)
				check(t, err)
				found[message] = true
				if _, known := Messages[message]; !known {
					t.Errorf("%s: the journal doesn't get %q: add it to Messages", name, message)
				}
			}
			return true
		})
	}
	for message, event := range Messages {
		if event == 0 && !found[message] && !slices.Contains(named, message) {
			t.Errorf("no code logs %q", message)
		}
	}
}
