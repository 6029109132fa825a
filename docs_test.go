package main

import (
	"bytes"
	"cmp"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tlstunnel/internal/cli"
	"tlstunnel/internal/config"
)

// pages are the documents that people read. The key is the file name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	for _, file := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "examples/README.md"} {
		texts[file] = readFile(t, file)
	}
	err := filepath.WalkDir("docs", func(file string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(file) == ".md" {
			texts[filepath.ToSlash(file)] = readFile(t, file)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return texts
}

// TestExamples loads every piece of config that the documents show.
func TestExamples(t *testing.T) {
	found := 0
	for file, text := range pages(t) {
		for _, block := range tomlBlocks(text) {
			found++
			_, problems := config.Parse(file, []byte(block))
			if err := problems.Err(); err != nil {
				t.Errorf("%s:\n%s%v", file, block, err)
			}
		}
	}
	if found == 0 {
		t.Error("found no example")
	}
}

// tomlBlocks are the pieces of config in a page.
func tomlBlocks(text string) (blocks []string) {
	for _, block := range regexp.MustCompile("(?ms)^ *```toml\n(.*?)^ *```").FindAllStringSubmatch(text, -1) {
		blocks = append(blocks, block[1])
	}
	return blocks
}

// TestLinks checks that the files and headings exist to which the documents link.
func TestLinks(t *testing.T) {
	texts := pages(t)
	headings := map[string][]string{}
	for file, text := range texts {
		headings[file] = anchors(text)
	}
	for file, text := range texts {
		for _, link := range regexp.MustCompile(`\]\(([^)\s#:]*)(?:#([^)\s]+))?\)`).FindAllStringSubmatch(text, -1) {
			to, heading := file, link[2]
			if link[1] != "" {
				to = filepath.ToSlash(filepath.Join(filepath.Dir(file), link[1]))
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %v", file, err)
			} else if heading != "" && !slices.Contains(headings[to], heading) {
				t.Errorf("%s points to the heading #%s, which %s hasn't", file, heading, to)
			}
		}
	}
}

// anchors are the names that GitHub gives to the headings of a page.
func anchors(text string) []string {
	var all []string
	for _, heading := range regexp.MustCompile(`(?m)^#+ +(.+?) *$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(heading[1]), "")
		all = append(all, strings.ReplaceAll(name, " ", "-"))
	}
	return all
}

// TestIndex checks that docs/index.md has each page of the documentation.
func TestIndex(t *testing.T) {
	texts := pages(t)
	for file := range texts {
		name, ok := strings.CutPrefix(file, "docs/")
		if ok && name != "index.md" && !regexp.MustCompile(`\]\(`+regexp.QuoteMeta(name)+`[)#]`).MatchString(texts["docs/index.md"]) {
			t.Errorf("docs/index.md doesn't name %s", name)
		}
	}
}

// TestArchitecture checks that docs/internals/architecture.md has each package of the
// program, and that each arrow of its picture is in the table of imports.
func TestArchitecture(t *testing.T) {
	text := pages(t)["docs/internals/architecture.md"]
	for name := range mayImport {
		if name != "." && !strings.HasPrefix(name, "packaging/") && !strings.Contains(text, "`"+name+"`") {
			t.Errorf("docs/internals/architecture.md doesn't name %s", name)
		}
	}
	full := map[string]string{} // the names of boxes
	for _, box := range regexp.MustCompile(`(\w+)\[(\S+)\]`).FindAllStringSubmatch(text, -1) {
		full[box[1]] = strings.Replace(box[2], "main.go", ".", 1)
	}
	arrows := regexp.MustCompile(`(\w+)(?:\[\S+\])? --> (\w+)`).FindAllStringSubmatch(text, -1)
	for _, arrow := range arrows {
		from, to := cmp.Or(full[arrow[1]], arrow[1]), cmp.Or(full[arrow[2]], arrow[2])
		if !slices.Contains(mayImport[from], to) {
			t.Errorf("docs/internals/architecture.md has an arrow from %s to %s, which layout_test.go doesn't allow", from, to)
		}
	}
	if len(arrows) == 0 {
		t.Error("found no arrow")
	}
}

// TestCommands asks the program for the help of each command in the documents, and looks
// there for the command and its flags.
func TestCommands(t *testing.T) {
	shown := map[string][]string{} // the command lines, and where they are
	for file, text := range pages(t) {
		for _, line := range commandLines(text) {
			shown[line] = append(shown[line], file)
		}
	}
	if len(shown) < 40 {
		t.Errorf("found %d commands only", len(shown))
	}
	for line, files := range shown {
		var names, flags []string
		for word := range strings.FieldsSeq(line) {
			if strings.HasPrefix(word, "--") {
				flag, _, _ := strings.Cut(word, "=")
				flags = append(flags, flag)
			} else if len(flags) == 0 && regexp.MustCompile(`^[a-z]+$`).MatchString(word) {
				names = append(names, word)
			}
		}
		var out bytes.Buffer
		if code := cli.Main(append(slices.Clone(names), "--help"), nil, &out, &out); code != 0 {
			t.Errorf("%v: tlstunnel %s: %s", files, line, &out)
			continue
		}
		help := out.String()
		if strings.Contains(help, "Available Commands:") && len(names) > 1 {
			t.Errorf("%v: tlstunnel %s: there is no such command", files, line)
		}
		for _, flag := range flags {
			if !regexp.MustCompile(regexp.QuoteMeta(flag) + `\b`).MatchString(help) {
				t.Errorf("%v: tlstunnel %s: there is no flag %s", files, line, flag)
			}
		}
	}
}

// commandLines are the lines of code, and the pieces of code in a sentence, that call the
// program. They come without the program's name.
func commandLines(text string) []string {
	code := regexp.MustCompile("(?m)^ {4}.*tlstunnel .*$|`tlstunnel [^`]+`").FindAllString(text, -1)
	var lines []string
	for _, c := range code {
		c = strings.Join(strings.Fields(strings.Trim(c, "`")), " ")
		if m := regexp.MustCompile(`^(?:sudo )?(?:\./)?tlstunnel ([a-z][^#&|<;()]*)`).FindStringSubmatch(c); m != nil {
			lines = append(lines, m[1])
		}
	}
	return lines
}

// TestDemo runs the main job as the README has it, and loads the config that it
// shows.
func TestDemo(t *testing.T) {
	var out, complaints bytes.Buffer
	if code := cli.Main([]string{"demo"}, exampleConfig, &out, &complaints); code != 0 {
		t.Fatalf("exit code %d: %s", code, &complaints)
	}
	blocks := regexp.MustCompile(`(?m)^  \[\[tunnel\]\]\n(  .*\n)+`).FindAllString(out.String(), -1)
	if len(blocks) != 2 {
		t.Fatalf("got %d pieces of config, want 2:\n%s", len(blocks), &out)
	}
	_, problems := config.Parse("demo", []byte(strings.Join(blocks, "")))
	for _, p := range problems {
		t.Error(p)
	}
}
