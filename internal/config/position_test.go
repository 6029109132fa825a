package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/BurntSushi/toml"
)

func TestScanKeys(t *testing.T) {
	src := strings.ReplaceAll(`# comment with key = 1
top = "a # no comment = 1" # x = 2
'quo.ted' = '\'
"\u00fcber" = """ " \""" y = 3
z = 4"""""
log.level = 1
[ pki . subject ] # [no.table]
raw = '''
w = 5 \'''
list = [ 1, [2, 3], # v = 6
  "],[", {u = 7, s.t = 8}, ]
date = 1979-05-27 07:32:32
[[tunnel]]
name = 1
[tunnel.sub]
deep = 2
[[tunnel]]
name = 3
inline = {a = {b = 1}, "c" = "}"}
[[tunnel.list]]
e = 1
[[tunnel.list]]
e = 2
`, "\n", "\r\n")
	want := map[string]string{
		"top":                     "2:1",
		`"quo.ted"`:               "3:1",
		`"über"`:                  "4:1",
		"log":                     "6:1",
		"log.level":               "6:5",
		"pki":                     "7:3",
		"pki.subject":             "7:9",
		"pki.subject.raw":         "8:1",
		"pki.subject.list":        "10:1",
		"pki.subject.list[0]":     "10:10",
		"pki.subject.list[1]":     "10:13",
		"pki.subject.list[1][0]":  "10:14",
		"pki.subject.list[1][1]":  "10:17",
		"pki.subject.list[2]":     "11:3",
		"pki.subject.list[3]":     "11:10",
		"pki.subject.list[3].u":   "11:11",
		"pki.subject.list[3].s":   "11:18",
		"pki.subject.list[3].s.t": "11:20",
		"pki.subject.date":        "12:1",
		"tunnel":                  "13:3",
		"tunnel[0]":               "13:3",
		"tunnel[0].name":          "14:1",
		"tunnel[0].sub":           "15:9",
		"tunnel[0].sub.deep":      "16:1",
		"tunnel[1]":               "17:3",
		"tunnel[1].name":          "18:1",
		"tunnel[1].inline":        "19:1",
		"tunnel[1].inline.a":      "19:11",
		"tunnel[1].inline.a.b":    "19:16",
		"tunnel[1].inline.c":      "19:24",
		"tunnel[1].list":          "20:10",
		"tunnel[1].list[0]":       "20:3",
		"tunnel[1].list[0].e":     "21:1",
		"tunnel[1].list[1]":       "22:3",
		"tunnel[1].list[1].e":     "23:1",
	}
	if err := checkKeys(src); err != nil {
		t.Error(err)
	}
	found, _ := scanKeys(src)
	for path := range maps.Keys(found) {
		if want[path] == "" {
			t.Errorf("%s was found", path)
		}
	}
	p := newPositions("", src)
	for path, want := range want {
		offset, ok := found[path]
		at := p.at(offset)
		if got := fmt.Sprintf("%d:%d", at.line, at.col); !ok || got != want {
			t.Errorf("%s: got %s (%v), want %s", path, got, ok, want)
		}
	}
}

// checkKeys reports whether scanKeys finds exactly the keys that the library decodes.
func checkKeys(src string) error {
	var doc map[string]any
	if _, err := toml.Decode(src, &doc); err != nil {
		return err
	}
	want := map[string]bool{}
	collect("", doc, want)
	found, _ := scanKeys(src)
	for path := range found {
		if !want[path] {
			return fmt.Errorf("%s was found, but isn't there", path)
		}
		delete(want, path)
	}
	if len(want) > 0 {
		return fmt.Errorf("not found: %v", slices.Sorted(maps.Keys(want)))
	}
	return nil
}

func collect(path string, value any, into map[string]bool) {
	if path != "" {
		into[path] = true
	}
	switch value := value.(type) {
	case map[string]any:
		for key, value := range value {
			collect(join(path, key), value, into)
		}
	case []map[string]any:
		for i, value := range value {
			collect(element(path, i), value, into)
		}
	case []any:
		for i, value := range value {
			collect(element(path, i), value, into)
		}
	}
}

func TestPositionsAt(t *testing.T) {
	tests := []struct {
		src    string
		offset int
		want   position
	}{
		{"", 0, position{1, 1}},
		{"", 5, position{1, 1}},
		{"ab", -1, position{1, 1}},
		{"ab\ncd", 1, position{1, 2}},
		{"ab\ncd", 2, position{1, 3}}, // the end of the line
		{"ab\ncd", 3, position{2, 1}},
		{"äöü\n€x", 10, position{2, 2}},
	}
	for _, tt := range tests {
		p := newPositions("", tt.src)
		if got := p.at(tt.offset); got != tt.want {
			t.Errorf("%q: at(%d) = %v, want %v", tt.src, tt.offset, got, tt.want)
		}
	}
}

// FuzzParse checks that nothing panics or hangs, that each decoded key has a
// position, and that what is reported is inside the file.
func FuzzParse(f *testing.F) {
	for _, dir := range []string{"bad", "good"} {
		for _, file := range testFiles(f, dir) {
			f.Add(readFile(f, file))
		}
	}
	f.Add(readFile(f, "../../config.example.toml"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, problems := Parse("f.toml", data)
		if cfg == nil && problems.Err() == nil {
			t.Fatal("no config and no error")
		}
		lines := strings.Count(string(data), "\n") + 1
		for _, p := range problems {
			if p.Line < 1 || p.Line > lines || p.Col < 1 || strings.ContainsAny(p.Text, "\n\r") {
				t.Errorf("%q", p)
			}
		}
		if cfg != nil {
			if err := checkKeys(cfg.positions.src); err != nil {
				t.Error(err)
			}
			for i := range cfg.Tunnels {
				if !cfg.positions.has(element("tunnel", i)) {
					t.Errorf("tunnel[%d] has no position", i)
				}
			}
		}
		scanKeys(string(data)) // of anything
	})
}
