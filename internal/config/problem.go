package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Problem is one thing that is wrong with a config file.
type Problem struct {
	File    string `json:"file"`             // the name that the caller gave to Load or Parse
	Line    int    `json:"line"`             // from 1
	Col     int    `json:"col"`              // from 1, in characters
	Tunnel  string `json:"tunnel,omitempty"` // the name of the tunnel that it is about
	Text    string `json:"text"`             // what is wrong, and what would be right
	Warning bool   `json:"warning"`          // the config can be used in spite of it
}

// String gives the line that a user sees: FILE:LINE:COL: tunnel "x": text.
func (p Problem) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:%d:%d: ", p.File, p.Line, p.Col)
	if p.Tunnel != "" {
		fmt.Fprintf(&b, "tunnel %q: ", p.Tunnel)
	}
	if p.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(p.Text)
	return b.String()
}

// Problems is everything that is wrong with a config file. The zero value
// says that nothing is.
type Problems []Problem

// Err is nil if the config can be used: if there are no problems but warnings. Otherwise it has a
// line for each problem that isn't a warning.
func (ps Problems) Err() error {
	var lines []string
	for _, p := range ps {
		if !p.Warning {
			lines = append(lines, p.String())
		}
	}
	if lines == nil {
		return nil
	}
	return errors.New(strings.Join(lines, "\n"))
}

// Sort orders the problems by their place in the file. Problems at the same place keep their
// order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// Problem returns an error that another package has found in the value of a key, for example a
// certificate that doesn't exist. The key belongs to the tunnel with that index ("cert"). If the
// index is -1, it belongs to the whole file ("pki.dir"). The position is that of the key,
// otherwise of its table, otherwise the start of the file. Set Warning in the result to make it a
// warning.
func (c *Config) Problem(tunnel int, key, text string) Problem {
	return c.problem(pathOf(tunnel, key), text)
}

func (c *Config) problem(path, text string) Problem {
	at := c.positions.find(path)
	p := Problem{File: c.positions.file, Line: at.line, Col: at.col, Text: text}
	if i := tunnelIndex(path); i >= 0 && i < len(c.Tunnels) {
		p.Tunnel = c.Tunnels[i].Name
	}
	return p
}

// pathOf is the path of a key of a tunnel. If the tunnel is -1, the key belongs to the whole file.
func pathOf(tunnel int, key string) string {
	if tunnel < 0 {
		return key
	}
	return tunnelKey(tunnel, key)
}

// tunnelKey is the path of a key of a tunnel: tunnel[1].listen.
func tunnelKey(tunnel int, key string) string {
	// fmt is slower, and a file that isn't a config may have very many keys.
	return "tunnel[" + strconv.Itoa(tunnel) + "]." + key
}

// tunnelIndex is the index of the tunnel that a path lies in, or -1.
func tunnelIndex(path string) int {
	rest, ok := strings.CutPrefix(path, "tunnel[")
	digits, _, _ := strings.Cut(rest, "]")
	i, err := strconv.Atoi(digits)
	if !ok || err != nil {
		return -1
	}
	return i
}

// maxProblems is how many errors, and how many warnings, are reported. A file that isn't a config
// could have very many.
const maxProblems = 100

// finding is a problem whose text isn't made yet. There may be very many findings, but only the
// first are reported.
type finding struct {
	offset  int
	path    string
	text    func() string
	warning bool
}

// report collects what is wrong with one file.
type report struct {
	cfg   *Config
	found []finding

	// wrong holds the paths that have an error. A second one about the same
	// value would only follow from the first.
	wrong map[string]bool
}

// errorf reports an error in the value at path, unless it has one already. The text begins with
// the name of the key; format is the rest.
func (r *report) errorf(path, format string, args ...any) {
	if r.wrong[path] {
		return
	}
	r.spoil(path)
	r.add(path, false, func() string {
		if strings.HasPrefix(format, "%q ") { // that is the value
			if value, ok := args[0].(string); ok && whyPasted(value) != "" {
				return fmt.Sprintf("%s %q %s", keyName(path), value, whyPasted(value))
			}
		}
		return keyName(path) + " " + fmt.Sprintf(format, args...)
	})
}

// check reports an error in the value at path if it isn't ok.
func (r *report) check(path string, ok bool, format string, args ...any) {
	if !ok {
		r.errorf(path, format, args...)
	}
}

// warnf reports a warning about the value at path, unless it has an error.
func (r *report) warnf(path, format string, args ...any) {
	if !r.wrong[path] {
		r.add(path, true, func() string { return keyName(path) + " " + fmt.Sprintf(format, args...) })
	}
}

func (r *report) add(path string, warning bool, text func() string) {
	r.found = append(r.found, finding{r.cfg.positions.offset(path), path, text, warning})
}

// problems returns the first problems, by their place in the file, and a line that counts the
// others.
func (r *report) problems() (told Problems) {
	slices.SortStableFunc(r.found, func(a, b finding) int { return cmp.Compare(a.offset, b.offset) })
	count := map[bool]int{}
	for _, f := range r.found {
		count[f.warning]++
	}
	seen := map[bool]int{}
	for _, f := range r.found {
		seen[f.warning]++
		if seen[f.warning] > maxProblems+1 {
			continue
		}
		p := r.cfg.problem(f.path, "")
		if left := count[f.warning] - maxProblems; seen[f.warning] > maxProblems {
			p.Tunnel = ""
			p.Text = fmt.Sprintf("and %d more, from here on", left)
		} else {
			p.Text = f.text()
		}
		p.Warning = f.warning
		told = append(told, p)
	}
	return told
}

// spoil notes that the value at path has an error. If it is an element of a list, it notes that of
// the list, too.
func (r *report) spoil(path string) {
	r.wrong[path] = true
	r.wrong[trimIndex(path)] = true
}

// keyName returns the name of the key at path as a user writes it: listen, log.level.
func keyName(path string) string {
	if tunnelIndex(path) >= 0 {
		_, key, _ := strings.Cut(path, "].")
		path = key
	}
	return trimIndex(path)
}

// trimIndex turns the path of a list's element into that of the list.
func trimIndex(path string) string {
	if i := strings.LastIndexByte(path, '['); i > 0 && strings.HasSuffix(path, "]") {
		return path[:i]
	}
	return path
}
