package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// A position is a place in a file. Both numbers start at 1; col counts
// characters.
type position struct{ line, col int }

// positions says where the keys of a file are. Their paths look like
// log.level, tunnel[1].listen and tunnel[1].target[0]; a key that isn't bare
// is quoted. The zero value knows no key.
type positions struct {
	file  string // its name in the problems
	src   string
	lines []int          // offsets of the line starts, from the second line on
	keys  map[string]int // path to offset in src
}

// newPositions finds the lines. [scanKeys] finds the keys.
func newPositions(file, src string) positions {
	p := positions{file: file, src: src}
	for i := range len(src) {
		if src[i] == '\n' {
			p.lines = append(p.lines, i+1)
		}
	}
	return p
}

// line is the line of the byte at offset.
func (p *positions) line(offset int) int {
	i, _ := slices.BinarySearch(p.lines, offset+1)
	return i + 1
}

// at is the position of the byte at offset, which may be out of range.
func (p *positions) at(offset int) position {
	offset = min(max(0, offset), len(p.src))
	line, start := p.line(offset), 0
	if line > 1 {
		start = p.lines[line-2]
	}
	return position{line, utf8.RuneCountInString(p.src[start:offset]) + 1}
}

// has reports whether the file has the key at path.
func (p *positions) has(path string) bool {
	_, ok := p.keys[path]
	return ok
}

// offset is where the key at path is. If the file doesn't have the key, it is where the nearest
// table around it is, otherwise the start of the file.
func (p *positions) offset(path string) int {
	for path != "" {
		if offset, ok := p.keys[path]; ok {
			return offset
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 0
}

// find is offset as a position.
func (p *positions) find(path string) position { return p.at(p.offset(path)) }

// No key of a config comes near these limits. They protect the memory from files that aren't a
// config: for each key the library keeps the names of all the tables around it.
const (
	maxLevels = 20  // of tables and lists in one another
	maxPath   = 200 // bytes
)

// join adds a key to the path of its table.
func join(table, key string) string {
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
	return fmt.Sprintf("%s[%d]", path, i)
}

func bareKeyChar(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-'
}

// scanKeys finds the offset of each key, table and list element in src. The TOML library doesn't
// tell where the keys are. If src isn't valid TOML, scanKeys ends too, but what it finds means
// nothing.
//
// It stops at the first key beyond maxLevels or maxPath and returns its offset as tooDeep,
// otherwise -1. Call it before the library, which then needn't read a file that is too deep.
func scanKeys(src string) (keys map[string]int, tooDeep int) {
	s := scanner{src: src, keys: map[string]int{}, tables: map[string]int{}, tooDeep: -1}
	table, levels := "", 0
	for s.skip(" \t\r\n"); s.i < len(src); s.skip(" \t\r\n") {
		s.levels = levels
		switch start := s.i; {
		case s.accept("[["):
			s.levels = 0
			s.skip(" \t")
			start = s.i
			path := s.key("")
			table = element(path, s.tables[path])
			s.tables[path]++
			s.mark(table, start)
			levels = s.levels
			s.accept("]]")
		case s.accept("["):
			s.levels = 0
			table = s.key("")
			levels = s.levels
			s.accept("]")
		default:
			s.pair(table)
			if s.i == start { // not TOML
				s.i++
			}
		}
	}
	return s.keys, s.tooDeep
}

type scanner struct {
	src    string
	i      int            // offset of the next byte to read
	keys   map[string]int // what was found
	tables map[string]int // path to the number of its [[tables]] so far

	levels  int // how many keys and lists the current path has
	tooDeep int // as scanKeys returns it
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
		if s.deepen(path, start); s.tooDeep >= 0 {
			return path
		}
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
	switch start, levels := s.i, s.levels; {
	case s.accept("["):
		s.deepen(path, start)
		for i := 0; s.more(blank, "]"); i++ {
			s.mark(element(path, i), s.i)
			s.progress(func() { s.value(element(path, i)) })
		}
		s.levels = levels
	case s.accept("{"):
		for s.more(blank, "}") {
			s.progress(func() { s.pair(path) })
			s.levels = levels
		}
	case strings.HasPrefix(s.src[s.i:], `"""`), strings.HasPrefix(s.src[s.i:], "'''"):
		s.text(s.src[s.i : s.i+3])
	case strings.HasPrefix(s.src[s.i:], `"`), strings.HasPrefix(s.src[s.i:], "'"):
		s.text(s.src[s.i : s.i+1])
	default: // a number, a date or true: it has no quote and no bracket
		if n := strings.IndexAny(s.src[s.i:], ",]}#\n"); n >= 0 {
			s.i += n
		} else {
			s.i = len(s.src)
		}
	}
}

// more goes to the next element and reports whether there is one.
func (s *scanner) more(blank, end string) bool {
	s.skip(blank)
	return s.i < len(s.src) && !s.accept(end)
}

// progress calls read. If read accepts nothing, because the text isn't TOML, progress skips a
// byte, so that the scan ends.
func (s *scanner) progress(read func()) {
	start := s.i
	read()
	if s.i == start {
		s.i++
	}
}

// text reads a string with its quotes: one or three on each side.
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

// deepen counts the key or list at path as a level. If there are too many levels, or the path is
// too long, it ends the scan.
func (s *scanner) deepen(path string, offset int) {
	s.levels++
	if s.levels > maxLevels || len(path) > maxPath {
		s.tooDeep = offset
		s.i = len(s.src)
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

// mark notes where the key, table or element at path is. If a path comes again, its first place
// stays.
func (s *scanner) mark(path string, offset int) {
	if _, ok := s.keys[path]; !ok {
		s.keys[path] = offset
	}
}
