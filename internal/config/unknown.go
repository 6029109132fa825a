package config

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// keysOf lists the keys of a struct in the order of its fields.
func keysOf(t reflect.Type) (keys []string) {
	for i := range t.NumField() {
		if key := t.Field(i).Tag.Get("toml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// place is a table and the keys in it.
type place struct {
	where string // tells a user where the table is
	table string // its header, if it has one
	of    reflect.Type
	keys  []string
}

func newPlace[T any](where, table string) place {
	return place{where, table, reflect.TypeFor[T](), keysOf(reflect.TypeFor[T]())}
}

var places = []place{
	newPlace[Config]("at the top of the file, above the first [table]", ""),
	newPlace[Log]("in [log]", "[log]"),
	newPlace[PKI]("in [pki]", "[pki]"),
	newPlace[Subject]("in [pki.subject]", "[pki.subject]"),
	newPlace[Tunnel]("in [[tunnel]]", "[[tunnel]]"),
	newPlace[ACME]("in [tunnel.acme]", "[tunnel.acme]"),
}

// unknownKey reports a key that its table, a struct of type t, doesn't know.
func (r *report) unknownKey(path, key string, table map[string]any, t reflect.Type) {
	if header, keys := asHeader(join(path, key), table[key]); header != "" {
		r.unknownTable(join(path, key), header, keys)
		return
	}
	text := fmt.Sprintf("unknown key %q", key)
	known := places[slices.IndexFunc(places, func(p place) bool { return p.of == t })].keys
	if meant, ok := nearest(key, known); ok {
		text += fmt.Sprintf(": did you mean %q?", meant)
		if _, ok := table[meant]; !ok {
			r.spoil(join(path, meant)) // so that no check reports it as missing
		}
	} else if i := slices.IndexFunc(places, func(p place) bool { return slices.Contains(p.keys, key) }); i >= 0 {
		text += ": it belongs " + places[i].where
		if line := r.commentedHeader(path, key, places[i].table); line > 0 {
			text += fmt.Sprintf("; is the # still in front of %s in line %d?", places[i].table, line)
		}
		if path == "" && places[i].table == "[[tunnel]]" {
			r.spoil("tunnel") // so that no check reports that there is no tunnel
		}
	} else {
		text += ": known here are " + strings.Join(known, ", ")
	}
	r.spoil(join(path, key))
	r.add(join(path, key), false, func() string { return text })
}

// asHeader returns the header of the table, or list of tables, at path, and the keys in it. They
// are empty for any other value.
func asHeader(path string, value any) (header string, keys map[string]any) {
	if i := tunnelIndex(path); i >= 0 {
		path = "tunnel." + keyName(path)
	}
	if table, ok := value.(map[string]any); ok {
		return "[" + path + "]", table
	}
	if list, ok := tables(value); ok && len(list) > 0 {
		return "[[" + path + "]]", list[0]
	}
	return "", nil
}

// headers maps the names that a user may write by mistake to the headers that exist.
var headers = map[string]string{
	"log": "[log]", "pki": "[pki]", "pki.subject": "[pki.subject]", "subject": "[pki.subject]", "tunnel": "[[tunnel]]",
	"acme": "[tunnel.acme]", "tunnel.acme": "[tunnel.acme]",
}

// unknownTable reports the table or list of tables at path.
func (r *report) unknownTable(path, header string, keys map[string]any) {
	meant, ok := nearest(path, slices.Sorted(maps.Keys(headers)))
	if _, listens := keys["listen"]; listens && !ok {
		meant, ok = "tunnel", true // stunnel has the name in the header: [pacs]
	}
	text := fmt.Sprintf("unknown table %s: known are [log], [pki], [pki.subject], [[tunnel]] and [tunnel.acme]", header)
	if ok {
		text = fmt.Sprintf("unknown table %s: did you mean %s?", header, headers[meant])
		r.spoil(meant) // so that no check reports it as missing
	}
	r.spoil(path)
	r.add(path, false, func() string { return text })
}

// commentedHeader returns the line above a key in which the header is commented out, or 0. It
// looks only at the table that the key is in.
func (r *report) commentedHeader(table, key, header string) int {
	p := &r.cfg.positions
	offset := p.offset(join(table, key))
	number := p.line(offset)
	above := p.src[p.offset(table):offset]
	for header != "" && above != "" {
		i := max(0, strings.LastIndexByte(above, '\n'))
		line := strings.TrimSpace(above[i:])
		if strings.HasPrefix(line, "[") {
			break
		}
		if strings.HasPrefix(line, "#") && strings.TrimLeft(line, "# \t") == header {
			return number
		}
		above = above[:i]
		number--
	}
	return 0
}

// nearest returns the word of words that a misspelt word most probably means.
func nearest(word string, words []string) (string, bool) {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	allowed := max(len(word)/3, min(len(word)/2, 2)) // two swapped letters have the distance 2
	best, found := "", allowed+1
	for _, w := range words {
		if len(w)-len(word) >= found || len(word)-len(w) >= found {
			continue // the distance is at least the difference of the lengths
		}
		if d := distance(word, strings.ReplaceAll(w, "-", "_")); d < found {
			best, found = w, d
		}
	}
	return best, best != ""
}

// distance is how many letters have to be added, left out or replaced to get
// from a to b (Levenshtein).
func distance(a, b string) int {
	var short [64]int // enough for all our words: a file that isn't a config calls this very often
	row := short[:0]  // the distance of a[:i] to each b[:j]
	if len(b) >= len(short) {
		row = make([]int, 0, len(b)+1)
	}
	row = row[:len(b)+1]
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
