package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tlstunnel/internal/cli"
	"tlstunnel/internal/config"
)

// TestExamples loads every piece of config that the documents show.
func TestExamples(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, file := range append(files, "README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?ms)^ *```toml\n(.*?)^ *```").FindAllSubmatch(text, -1) {
			found++
			_, problems := config.Parse(file, block[1])
			if err := problems.Err(); err != nil {
				t.Errorf("%s:\n%s%v", file, block[1], err)
			}
		}
	}
	if found == 0 {
		t.Error("found no example")
	}
}

// TestLinks looks for the files that the documents point to.
func TestLinks(t *testing.T) {
	files, err := filepath.Glob("docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "README.md", "CONTRIBUTING.md", "SECURITY.md", "examples/README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, link := range regexp.MustCompile(`\]\(([^)#:]+)\)`).FindAllSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), string(link[1]))); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
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
