package config

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// A position is a place in a file. Both numbers start at 1; col counts
// characters.
type position struct{ line, col int }

// positionAt is the position of the byte at offset, which may be out of range.
func positionAt(src string, offset int) position {
	before := src[:min(max(0, offset), len(src))]
	start := strings.LastIndexByte(before, '\n') + 1
	return position{
		line: strings.Count(before, "\n") + 1,
		col:  utf8.RuneCountInString(before[start:]) + 1,
	}
}

// positions says where the keys of a file are. Their paths look like
// log.level, tunnel[1].listen and tunnel[1].target[0]; a key that isn't bare
// is quoted. The zero value knows no key.
type positions struct {
	file string // as problems name it
	src  string
	keys map[string]int // path to offset in src
}

// has tells whether the file has the key at path.
func (p *positions) has(path string) bool {
	_, ok := p.keys[path]
	return ok
}

// find is the position of the key at path. Of a key that isn't there it is
// that of the nearest table around it, and at last the start of the file.
func (p *positions) find(path string) position {
	for path != "" {
		if offset, ok := p.keys[path]; ok {
			return positionAt(p.src, offset)
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return position{1, 1}
}

// maxPath is beyond any key that exists, and keeps the paths of a file that is
// nothing but nested lists from filling the memory.
const maxPath = 1000

// join adds a key to the path of its table.
func join(table, key string) string {
	if len(table) > maxPath {
		return table
	}
	if key == "" || strings.ContainsFunc(key, func(c rune) bool { return !bareKeyChar(c) }) {
		key = strconv.Quote(key)
	}
	if table == "" {
		return key
	}
	return table + "." + key
}

// element is the path of an element of the list at path.
func element(path string, i int) string {
	if len(path) > maxPath {
		return path
	}
	return fmt.Sprintf("%s[%d]", path, i)
}

func bareKeyChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// scanKeys finds the offset of each key, table and list element in src, which
// must be valid TOML: the library knows what it means, but doesn't tell where
// the keys are. In other text it finds anything or nothing, and ends.
func scanKeys(src string) map[string]int {
	s := scanner{src: src, keys: map[string]int{}, tables: map[string]int{}}
	table := ""
	for s.skip(" \t\r\n"); s.i < len(src); s.skip(" \t\r\n") {
		switch start := s.i; {
		case s.accept("[["):
			s.skip(" \t")
			start = s.i
			path := s.key("")
			table = element(path, s.tables[path])
			s.tables[path]++
			s.mark(table, start)
			s.accept("]]")
		case s.accept("["):
			table = s.key("")
			s.accept("]")
		default:
			s.pair(table)
			if s.i == start { // not TOML
				s.i++
			}
		}
	}
	return s.keys
}

type scanner struct {
	src    string
	i      int            // offset of what is next
	keys   map[string]int // what was found
	tables map[string]int // path to the number of its [[tables]] so far
}

// pair reads key = value.
func (s *scanner) pair(table string) {
	path := s.key(table)
	s.skip(" \t")
	if s.accept("=") {
		s.skip(" \t")
		s.value(path)
	}
}

// key reads a dotted key and returns its path.
func (s *scanner) key(table string) string {
	for path := table; ; {
		s.skip(" \t")
		start := s.i
		if n := s.tables[path]; n > 0 {
			path = element(path, n-1)
		}
		path = join(path, s.bareOrQuoted())
		s.mark(path, start)
		s.skip(" \t")
		if !s.accept(".") {
			return path
		}
	}
}

func (s *scanner) bareOrQuoted() string {
	start := s.i
	if s.i < len(s.src) && (s.src[s.i] == '"' || s.src[s.i] == '\'') {
		s.text(s.src[s.i : s.i+1])
		var decoded struct{ Key string }
		// It can only fail on what isn't TOML.
		_, _ = toml.Decode("key = "+s.src[start:s.i], &decoded)
		return decoded.Key
	}
	for s.i < len(s.src) && bareKeyChar(rune(s.src[s.i])) {
		s.i++
	}
	return s.src[start:s.i]
}

// value reads the value of the key at path, with the keys that are in it.
func (s *scanner) value(path string) {
	const blank = " \t\r\n,"
	switch {
	case s.accept("["):
		for i := 0; s.more(blank, "]"); i++ {
			s.mark(element(path, i), s.i)
			s.progress(func() { s.value(element(path, i)) })
		}
	case s.accept("{"):
		for s.more(blank, "}") {
			s.progress(func() { s.pair(path) })
		}
	case strings.HasPrefix(s.src[s.i:], `"""`), strings.HasPrefix(s.src[s.i:], "'''"):
		s.text(s.src[s.i : s.i+3])
	case strings.HasPrefix(s.src[s.i:], `"`), strings.HasPrefix(s.src[s.i:], "'"):
		s.text(s.src[s.i : s.i+1])
	default: // a number, a date, true: nothing that holds any of these
		if n := strings.IndexAny(s.src[s.i:], ",]}#\n"); n >= 0 {
			s.i += n
		} else {
			s.i = len(s.src)
		}
	}
}

// more goes to the next element and tells whether there is one.
func (s *scanner) more(blank, end string) bool {
	s.skip(blank)
	return s.i < len(s.src) && !s.accept(end)
}

// progress does read, and makes sure that what isn't TOML is passed as well.
func (s *scanner) progress(read func()) {
	start := s.i
	read()
	if s.i == start {
		s.i++
	}
}

// text reads a string with its quotes, of which there are one or three.
func (s *scanner) text(quotes string) {
	s.i += len(quotes)
	for s.i < len(s.src) && !strings.HasPrefix(s.src[s.i:], quotes) {
		if s.src[s.i] == '\\' && quotes[0] == '"' {
			s.i++
		}
		s.i++
	}
	s.i = min(s.i+len(quotes), len(s.src))
	if len(quotes) == 3 {
		// Up to two more quotes belong to the string: """a "quoted""""".
		for n := 0; n < 2 && s.accept(quotes[:1]); n++ {
		}
	}
}

// skip passes the blank characters, and comments where a line may end.
func (s *scanner) skip(blank string) {
	lines := strings.Contains(blank, "\n")
	for s.i < len(s.src) {
		if c := s.src[s.i]; lines && c == '#' {
			for s.i < len(s.src) && s.src[s.i] != '\n' {
				s.i++
			}
		} else if strings.IndexByte(blank, c) >= 0 {
			s.i++
		} else {
			return
		}
	}
}

func (s *scanner) accept(token string) bool {
	if strings.HasPrefix(s.src[s.i:], token) {
		s.i += len(token)
		return true
	}
	return false
}

// mark notes where the thing at path is. A table that appears again, or by
// way of its keys, stays where it was first.
func (s *scanner) mark(path string, offset int) {
	if _, ok := s.keys[path]; !ok {
		s.keys[path] = offset
	}
}
