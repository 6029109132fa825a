package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// keysOf lists the keys of a struct in the order of its fields.
func keysOf(t reflect.Type) (keys []string) {
	for _, f := range reflect.VisibleFields(t) {
		if key := f.Tag.Get("toml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// place is a table and the keys in it.
type place struct {
	where string // how a user gets there
	keys  []string
}

var places = []place{
	{"at the top of the file, above the first [table]", keysOf(reflect.TypeFor[Config]())},
	{"in [log]", keysOf(reflect.TypeFor[Log]())},
	{"in [pki]", keysOf(reflect.TypeFor[PKI]())},
	{"in [pki.subject]", keysOf(reflect.TypeFor[Subject]())},
	{"in [[tunnel]]", keysOf(reflect.TypeFor[Tunnel]())},
}

// unknownKey reports a key that its table, a struct of type t, doesn't know.
func (r *report) unknownKey(path, key string, table map[string]any, t reflect.Type) {
	text := fmt.Sprintf("unknown key %q", key)
	known := keysOf(t)
	if meant, ok := nearest(key, known); ok {
		text += fmt.Sprintf(": did you mean %q?", meant)
		if _, ok := table[meant]; !ok {
			r.spoil(join(path, meant)) // so nobody reports that it is missing
		}
	} else if i := slices.IndexFunc(places, func(p place) bool { return slices.Contains(p.keys, key) }); i >= 0 {
		text += ": it belongs " + places[i].where
	} else {
		text += ": known here are " + strings.Join(known, ", ")
	}
	r.spoil(join(path, key))
	r.add(join(path, key), text, false)
}

// nearest finds the one of the words that a misspelt one most probably stands
// for.
func nearest(word string, words []string) (string, bool) {
	word = strings.ReplaceAll(strings.ToLower(word), "-", "_")
	allowed := max(len(word)/3, min(len(word)/2, 2)) // two swapped letters are two
	best, found := "", allowed+1
	for _, w := range words {
		if d := distance(word, strings.ReplaceAll(w, "-", "_")); d < found {
			best, found = w, d
		}
	}
	return best, best != ""
}

// distance is how many letters have to be added, left out or replaced to get
// from a to b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1) // the distance of a[:i] to each b[:j]
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
