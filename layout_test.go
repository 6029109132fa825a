package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
)

// mayImport says which packages and libraries each package may import, besides the standard
// library. "." is main. A library stands for all that is below its path. A package without a
// line is a mistake, and so is a line without an import.
var mayImport = map[string][]string{
	".": {"internal/cli"},

	"installer": {
		"pki", "pki/certfile", "internal/access", "internal/atomicfile", "internal/config", "internal/dn", "internal/filerights", "internal/osservice", "internal/ownpki",
		"golang.org/x/sys",
	},
	"pki": {
		"pki/certfile", "internal/atomicfile", "internal/chain", "internal/date", "internal/dn", "internal/filerights", "internal/quote", "internal/strength",
		"golang.org/x/sys", "software.sslmate.com/src/go-pkcs12",
	},
	"pki/acme": {
		"pki", "pki/certfile", "internal/atomicfile", "internal/backoff", "internal/chain", "internal/date", "internal/diagnose", "internal/dn", "internal/filerights", "internal/quote",
		"golang.org/x/crypto/acme",
	},
	"pki/certfile": {
		"internal/chain", "internal/date", "internal/dn", "internal/quote", "internal/strength",
		"github.com/youmark/pkcs8", "software.sslmate.com/src/go-pkcs12",
	},
	// Service starts and stops the tunnels of a config, so it imports both. Only
	// service/compile knows what a value of the config means for a tunnel.
	"service": {
		"service/compile", "tunnel", "pki", "pki/acme", "internal/backoff", "internal/config", "internal/control", "internal/date", "internal/dn",
		"internal/logging", "internal/ownpki", "internal/quote", "internal/tuning", "internal/version",
		"github.com/coreos/go-systemd/v22", "github.com/fsnotify/fsnotify", "golang.org/x/sys",
	},
	"service/compile": {"tunnel", "pki", "pki/acme", "pki/certfile", "internal/config", "internal/date", "internal/dn"},
	"tunnel": {
		"tunnel/pool", "internal/backoff", "internal/date", "internal/diagnose", "internal/dn", "internal/quote", "internal/sock", "internal/strength", "internal/tlsio",
		"golang.org/x/crypto/cryptobyte", "golang.org/x/sys",
	},
	"tunnel/pool": {"internal/backoff"},

	"internal/access": {
		"pki", "service/compile", "internal/config", "internal/filerights", "internal/osservice",
		"golang.org/x/sys",
	},
	"internal/atomicfile": {"internal/filerights", "golang.org/x/sys"},
	"internal/backoff":    nil,
	"internal/bench":      {"service", "internal/version"},
	"internal/chain":      {"internal/date", "internal/dn", "internal/quote"},
	"internal/cli": {
		"installer", "service", "service/compile", "pki", "pki/certfile", "internal/access", "internal/atomicfile", "internal/bench", "internal/config", "internal/control",
		"internal/date", "internal/diagnose", "internal/dn", "internal/logging", "internal/osservice", "internal/ownpki", "internal/quote", "internal/tuning", "internal/version",
		"github.com/spf13/cobra", "github.com/spf13/pflag", "golang.org/x/sys", "golang.org/x/term",
	},
	"internal/config":  {"internal/quote", "github.com/BurntSushi/toml", "golang.org/x/sys"},
	"internal/control": {"internal/config", "internal/osservice", "github.com/Microsoft/go-winio", "golang.org/x/sys"},
	"internal/date":    nil,
	"internal/diagnose": {
		"internal/chain", "internal/dn", "internal/quote", "internal/strength",
		"golang.org/x/crypto/acme", "golang.org/x/crypto/cryptobyte", "golang.org/x/sys",
	},
	"internal/dn":         nil,
	"internal/filerights": {"golang.org/x/sys"},
	"internal/interop":    nil,
	"internal/logging": {
		"internal/atomicfile", "internal/config", "internal/filerights", "internal/quote",
		"golang.org/x/sys", "gopkg.in/natefinch/lumberjack.v2",
	},
	"internal/osservice": {"internal/config", "internal/logging", "github.com/kardianos/service", "golang.org/x/sys"},
	"internal/ownpki":    {"pki", "service/compile", "internal/config"},
	"internal/quote":     nil,
	"internal/sock":      {"golang.org/x/sys"},
	"internal/strength":  nil,
	"internal/testkit":   nil,
	"internal/tlsio":     {"internal/sock"},
	"internal/tuning":    {"golang.org/x/sys"},
	"internal/version":   nil,

	"packaging/test/peer":     nil,
	"packaging/test/wine-scm": {"golang.org/x/sys"},
}

// testsMayImport is what the _test.go files of a package may import besides. All of them may
// import internal/testkit, and no other file may.
var testsMayImport = map[string][]string{
	".":                  {"internal/config", "service"},
	"internal/cli":       {"github.com/rogpeppe/go-internal/testscript"},
	"internal/control":   {"internal/filerights"},
	"internal/interop":   {"internal/atomicfile", "internal/cli", "pki/acme", "golang.org/x/crypto/acme", "golang.org/x/sys"},
	"internal/osservice": {"internal/atomicfile"},
	"pki":                {"github.com/youmark/pkcs8"},
	"service":            {"pki/certfile"},
}

// neverReach is what a package must not import, neither itself nor through others, whatever
// the tables say.
var neverReach = map[string][]string{
	"tunnel":             {"internal/config", "pki", "service"},
	"service":            {"installer", "internal/cli"},
	"installer":          {"internal/cli"},
	"internal/diagnose":  {"tunnel", "pki", "service", "internal/config", "internal/logging", "internal/sock", "internal/tlsio"},
	"internal/osservice": {"service"},
}

// quiet are packages that start no goroutine and write no log, and whose imports of ours
// don't either. Their caller decides what runs and what is logged.
var quiet = []string{"internal/sock", "internal/tlsio", "internal/diagnose", "tunnel/route", "tunnel/starttls"}

// TestLayout keeps the layers apart.
func TestLayout(t *testing.T) {
	for _, fault := range layoutFaults(os.DirFS(".")) {
		t.Error(fault)
	}
}

// layoutFaults finds what in a tree of packages breaks the tables.
func layoutFaults(tree fs.FS) (faults []string) {
	packages, err := readPackages(tree)
	if err != nil {
		return []string{err.Error()}
	}
	report := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, name := range slices.Sorted(maps.Keys(packages)) {
		p := packages[name]
		rule, listed := mayImport[name]
		if !listed {
			report("package %s isn't in mayImport", name)
		}
		for _, i := range p.imports {
			if !covers(rule, i.name) {
				report("%s: %s must not import %s", i.at, name, i.name)
			}
		}
		for _, i := range p.testImports {
			if i.name != name && i.name != "internal/testkit" && !covers(rule, i.name) && !covers(testsMayImport[name], i.name) {
				report("%s: the tests of %s must not import %s", i.at, name, i.name)
			}
		}
		for other, by := range reach(packages, name) {
			if slices.ContainsFunc(neverReach[name], func(never string) bool { return isBelow(other, never) }) {
				report("%s must never reach %s, which %s imports", name, other, by)
			}
			if slices.Contains(quiet, name) && packages[other] != nil {
				for _, noise := range packages[other].noise {
					report("%s must be quiet, and %s", name, noise)
				}
			}
		}
	}
	return append(faults, staleRules(packages)...)
}

// staleRules finds what the tables allow and no file uses.
func staleRules(packages map[string]*goPackage) (faults []string) {
	unused := func(table, name string, rule []string, imports []anImport) {
		for _, allowed := range rule {
			if !slices.ContainsFunc(imports, func(i anImport) bool { return covers([]string{allowed}, i.name) }) {
				faults = append(faults, fmt.Sprintf("%s lets %s import %s, which it doesn't", table, name, allowed))
			}
		}
	}
	for table, rules := range map[string]map[string][]string{"mayImport": mayImport, "testsMayImport": testsMayImport} {
		for name, rule := range rules {
			switch p := packages[name]; {
			case p == nil:
				faults = append(faults, fmt.Sprintf("%s has package %s, which isn't there", table, name))
			case table == "mayImport":
				unused(table, name, rule, p.imports)
			default:
				unused(table, name, rule, p.testImports)
			}
		}
	}
	slices.Sort(faults)
	return faults
}

// covers reports whether a rule allows the import. Only a library, which has a host name in
// its path, stands for what is below it.
func covers(rule []string, name string) bool {
	return slices.ContainsFunc(rule, func(allowed string) bool {
		return name == allowed || isLibrary(allowed) && isBelow(name, allowed)
	})
}

func isBelow(name, top string) bool { return name == top || strings.HasPrefix(name, top+"/") }

func isLibrary(name string) bool {
	host, _, _ := strings.Cut(name, "/")
	return strings.Contains(strings.TrimPrefix(host, "."), ".")
}

// goPackage is what the files of a package contain, whichever system they are for.
type goPackage struct {
	imports, testImports []anImport
	noise                []string // where it starts a goroutine or logs
}

// anImport is the path of a library, or of a package of ours without "tlstunnel/".
type anImport struct{ at, name string }

// reach returns which packages of ours a package imports, itself and through others, each
// with the package that imports it.
func reach(packages map[string]*goPackage, from string) map[string]string {
	found := map[string]string{from: ""}
	for todo := []string{from}; len(todo) > 0; todo = todo[1:] {
		p := packages[todo[0]]
		if p == nil {
			continue
		}
		for _, i := range p.imports {
			if _, seen := found[i.name]; !seen {
				found[i.name] = todo[0]
				todo = append(todo, i.name)
			}
		}
	}
	return found
}

// readPackages reads the Go files of our module.
func readPackages(tree fs.FS) (map[string]*goPackage, error) {
	packages := map[string]*goPackage{}
	err := fs.WalkDir(tree, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			_, other := fs.Stat(tree, path.Join(file, "go.mod"))
			if file != "." && (other == nil || strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(file, ".go") {
			return nil
		}
		text, err := fs.ReadFile(tree, file)
		if err != nil {
			return err
		}
		name := path.Dir(file)
		if packages[name] == nil {
			packages[name] = &goPackage{}
		}
		return packages[name].read(file, text)
	})
	return packages, err
}

func (p *goPackage) read(name string, text []byte) error {
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	isTest := strings.HasSuffix(name, "_test.go")
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return err
		}
		ours, isOurs := strings.CutPrefix(imported, "tlstunnel/")
		switch {
		case isTest && (isOurs || isLibrary(imported)):
			p.testImports = append(p.testImports, anImport{name, ours})
		case isOurs || isLibrary(imported):
			p.imports = append(p.imports, anImport{name, ours})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if what := noiseOf(n); what != "" && !isTest {
			p.noise = append(p.noise, positions.Position(n.Pos()).String()+" "+what)
		}
		return true
	})
	return nil
}

// noiseOf finds what starts a goroutine: the go statement, sync.WaitGroup.Go, and the
// AfterFunc of context and time. It also finds what of log and log/slog writes lines. A level
// doesn't.
func noiseOf(n ast.Node) string {
	switch n := n.(type) {
	case *ast.GoStmt:
		return "starts a goroutine"
	case *ast.SelectorExpr:
		of, _ := n.X.(*ast.Ident)
		switch {
		case n.Sel.Name == "Go" || n.Sel.Name == "AfterFunc":
			return "starts a goroutine"
		case of != nil && (of.Name == "log" || of.Name == "slog") && !strings.HasPrefix(n.Sel.Name, "Level"):
			return "logs"
		}
	}
	return ""
}

// TestLayoutFaults: each kind of broken rule is found.
func TestLayoutFaults(t *testing.T) {
	whole := wholeTree()
	if faults := layoutFaults(whole); len(faults) > 0 {
		t.Fatalf("a tree as the tables have it: %q", faults)
	}
	for _, tt := range []struct{ file, text, want string }{
		{"tunnel/x.go", `import _ "tlstunnel/internal/quote/x"`, "tunnel/x.go: tunnel must not import internal/quote/x"},
		{"tunnel/x.go", `import _ "tlstunnel/internal/config"`, "tunnel must never reach internal/config, which tunnel imports"},
		{"internal/chain/x.go", `import _ "tlstunnel/pki/certfile"`, "tunnel must never reach pki/certfile, which internal/chain imports"},
		{"internal/logging/x_windows.go", `import _ "tlstunnel/service"`, "internal/osservice must never reach service, which internal/logging imports"},
		{"service/x.go", `import _ "github.com/kardianos/service"`, "service/x.go: service must not import github.com/kardianos/service"},
		{"service/x.go", `import _ "example.com/new"`, "service/x.go: service must not import example.com/new"},
		{"pki/x.go", `import _ "tlstunnel/internal/testkit"`, "pki/x.go: pki must not import internal/testkit"},
		{"pki/x_test.go", `import _ "tlstunnel/service"`, "pki/x_test.go: the tests of pki must not import service"},
		{"internal/new/x.go", "", "package internal/new isn't in mayImport"},
		{"internal/sock/x.go", "func f() { go f() }", "internal/sock must be quiet, and internal/sock/x.go:2:12 starts a goroutine"},
		{"internal/sock/x.go", "func f() { group.Go(f) }", "internal/sock must be quiet, and internal/sock/x.go:2:12 starts a goroutine"},
		{"internal/sock/x.go", "var level = slog.LevelInfo; var logger *slog.Logger", "internal/sock must be quiet, and internal/sock/x.go:2:41 logs"},
		{"internal/sock/x.go", `import _ "tlstunnel/internal/logging"`, "internal/sock must be quiet, and internal/logging/y.go:2:12 logs"},
	} {
		tree := maps.Clone(whole)
		tree["internal/logging/y.go"] = &fstest.MapFile{Data: []byte("package x\nfunc f() { log.Print() }")}
		tree[tt.file] = &fstest.MapFile{Data: []byte("package x\n" + tt.text)}
		if faults := layoutFaults(tree); !slices.Contains(faults, tt.want) {
			t.Errorf("%s with %s: got %q, want %q", tt.file, tt.text, faults, tt.want)
		}
	}
	for file, want := range map[string]string{
		"internal/quote/x.go":     "mayImport has package internal/quote, which isn't there",
		"internal/logging/x.go":   "mayImport lets internal/logging import gopkg.in/natefinch/lumberjack.v2, which it doesn't",
		"internal/cli/x_test.go":  "testsMayImport lets internal/cli import github.com/rogpeppe/go-internal/testscript, which it doesn't",
		"internal/osservice/x.go": "mayImport lets internal/osservice import internal/config, which it doesn't",
	} {
		tree := maps.Clone(whole)
		tree[file] = &fstest.MapFile{Data: []byte("package x")}
		if strings.Contains(want, "isn't there") {
			delete(tree, file)
		}
		if faults := layoutFaults(tree); !slices.Contains(faults, want) {
			t.Errorf("%s: got %q, want %q", file, faults, want)
		}
	}
}

// wholeTree has a package for each line of the tables, which imports all that it may.
func wholeTree() fstest.MapFS {
	tree := fstest.MapFS{}
	write := func(file string, rule []string) {
		text := "package x\n"
		for _, name := range rule {
			if !isLibrary(name) {
				name = "tlstunnel/" + name
			}
			text += fmt.Sprintf("import _ %q\n", name)
		}
		tree[file] = &fstest.MapFile{Data: []byte(text)}
	}
	for name, rule := range mayImport {
		write(path.Join(name, "x.go"), rule)
	}
	for name, rule := range testsMayImport {
		write(path.Join(name, "x_test.go"), rule)
	}
	return tree
}
