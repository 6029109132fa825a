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
	File    string `json:"file"`             // as the caller of Load or Parse named it
	Line    int    `json:"line"`             // from 1
	Col     int    `json:"col"`              // from 1, in characters
	Tunnel  string `json:"tunnel,omitempty"` // the name of the one that it is about
	Text    string `json:"text"`             // what is wrong, and what would be right
	Warning bool   `json:"warning"`          // the config can be used all the same
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

// Err is nil when the config can be used, that is when there are only
// warnings. Otherwise it has a line for each problem that isn't a warning.
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

// Sort orders the problems by their place in the file. Those of one place keep
// their order.
func (ps Problems) Sort() {
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Col, b.Col))
	})
}

// Problem describes something wrong with the value of a key, found by somebody
// else: a certificate that doesn't exist, say. The key is one of the tunnel
// with that index ("cert"), or with -1 one of the whole file ("pki.dir"). The
// position is that of the key, else of its table, else the start of the file.
// It returns an error; set Warning to make it one.
func (c *Config) Problem(tunnel int, key, text string) Problem {
	if tunnel >= 0 {
		key = tunnelKey(tunnel, key)
	}
	return c.problem(key, text)
}

func (c *Config) problem(path, text string) Problem {
	at := c.positions.find(path)
	p := Problem{File: c.positions.file, Line: at.line, Col: at.col, Text: text}
	if i := tunnelIndex(path); i >= 0 && i < len(c.Tunnels) {
		p.Tunnel = c.Tunnels[i].Name
	}
	return p
}

// tunnelKey is the path of a key of a tunnel: tunnel[1].listen.
func tunnelKey(tunnel int, key string) string {
	return fmt.Sprintf("tunnel[%d].%s", tunnel, key)
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

// report collects what is wrong with one file.
type report struct {
	cfg      *Config
	problems Problems

	// wrong holds the paths that have an error. A second one about the same
	// value would only follow from the first.
	wrong map[string]bool
}

// errorf reports an error in the value at path, unless it has one. The text
// starts with the name of the key, so the format starts behind it.
func (r *report) errorf(path, format string, args ...any) {
	if r.wrong[path] {
		return
	}
	r.spoil(path)
	r.add(path, keyName(path)+" "+fmt.Sprintf(format, args...), false)
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
		r.add(path, keyName(path)+" "+fmt.Sprintf(format, args...), true)
	}
}

func (r *report) add(path, text string, warning bool) {
	p := r.cfg.problem(path, text)
	p.Warning = warning
	r.problems = append(r.problems, p)
}

// spoil notes that the value at path has an error, and with an element its
// list.
func (r *report) spoil(path string) {
	r.wrong[path] = true
	r.wrong[trimIndex(path)] = true
}

// keyName is what a user calls the key at path: listen, log.level.
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
