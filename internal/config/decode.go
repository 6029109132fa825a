package config

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"reflect"
	"slices"
	"time"
)

// table sets the fields of a struct from the table at path. Before, the struct holds the
// defaults.
func (r *report) table(path string, from map[string]any, into reflect.Value) {
	for _, key := range slices.Sorted(maps.Keys(from)) {
		field, ok := fieldOf(into, key)
		if !ok {
			r.unknownKey(path, key, from, into.Type())
			continue
		}
		r.set(join(path, key), from[key], field)
	}
}

// set sets a field from the value at path, or reports the error.
func (r *report) set(path string, value any, field reflect.Value) {
	switch field := field.Addr().Interface().(type) {
	case *string:
		if text, ok := as[string](r, path, value, "text in quotes"); ok {
			*field = text
		}
	case *bool:
		if b, ok := as[bool](r, path, value, "true or false, without quotes"); ok {
			*field = b
		}
	case *int:
		r.setCount(path, value, field)
	case *int64:
		setParsed(r, path, value, field, `a size in quotes: write one such as "20MB"`, parseSize)
	case *time.Duration:
		unit := durationUnit(path)
		want := fmt.Sprintf("a duration in quotes: write one such as %q", durationExamples[unit][0])
		setParsed(r, path, value, field, want, func(text string) (time.Duration, error) { return parseDuration(text, unit) })
	case *[]string:
		*field = list(r, path, value, func(text string) (string, error) { return text, nil })
	case *[]netip.Prefix:
		*field = list(r, path, value, parsePrefix)
	case *[]Rule:
		*field = list(r, path, value, parseRule)
	case *[]Tunnel:
		r.setTunnels(path, value, field)
	default:
		r.setTable(path, value, reflect.ValueOf(field).Elem())
	}
}

// durationUnit returns the unit that a user probably means if the value at path has none.
func durationUnit(path string) string {
	switch path {
	case "log.max_age", "pki.ca_validity", "pki.cert_validity":
		return "d"
	}
	return "s"
}

// as returns the value at path as a T, or reports which type it must have.
func as[T any](r *report, path string, value any, want string) (T, bool) {
	v, ok := value.(T)
	r.check(path, ok, "is %s, but must be %s", kind(value), want)
	if text, isText := value.(string); ok && isText {
		ok = r.quotes(path, text) && r.noPEM(path, text)
	}
	return v, ok
}

// kind returns the word that a user has for the type of a value.
func kind(value any) string {
	switch value.(type) {
	case string:
		return "text"
	case bool:
		return "true or false"
	case int64, float64:
		return "a number"
	case time.Time:
		return "a date"
	case map[string]any:
		return "a table"
	default:
		return "a list"
	}
}

func (r *report) setCount(path string, value any, field *int) {
	n, ok := as[int64](r, path, value, "a whole number without quotes")
	if !ok {
		return
	}
	r.check(path, n >= 0, "must not be negative: 0 is the least")
	r.check(path, n <= math.MaxInt32, "is too large: %d is the most", math.MaxInt32)
	if !r.wrong[path] {
		*field = int(n)
	}
}

// setParsed sets a field whose value is text with a unit.
func setParsed[T any](r *report, path string, value any, field *T, want string, parse func(string) (T, error)) {
	if n, ok := value.(int64); ok && n >= 0 {
		value = fmt.Sprint(n) // parse then returns an error that shows the number with a unit
	}
	text, ok := as[string](r, path, value, want)
	if !ok {
		return
	}
	v, err := parse(text)
	if err != nil {
		r.errorf(path, "%q %v", text, err)
		return
	}
	*field = v
}

// list reads a list of text. A list of one may be written without brackets.
func list[T any](r *report, path string, value any, parse func(string) (T, error)) (into []T) {
	add := func(path string, value any, want string) {
		text, ok := as[string](r, path, value, want)
		if !ok {
			return
		}
		if text == "" && keyName(path) == "target" {
			r.errorf(path, targetMissing)
			return
		}
		if text == "" {
			r.errorf(path, `has an empty text: fill it in, or write [] for an empty list`)
			return
		}
		v, err := parse(text)
		if err != nil {
			r.errorf(path, "%q %v", text, err)
			return
		}
		into = append(into, v)
	}
	want := "text in quotes"
	if keyName(path) == "allow" {
		want += ` such as "cn:NAME"`
	}
	values, ok := value.([]any)
	if !ok {
		add(path, value, want+" or a list of it")
	}
	for i, value := range values {
		add(element(path, i), value, want)
	}
	return into
}

func (r *report) setTable(path string, value any, into reflect.Value) {
	header := path
	if tunnelIndex(path) >= 0 {
		header = "tunnel." + keyName(path)
	}
	if _, ok := tables(value); ok {
		r.errorf(path, "is there once only: write [%s], with single brackets", header)
		return
	}
	from, ok := value.(map[string]any)
	if !ok {
		r.errorf(path, "must be a table, not %s: write [%s] on a line of its own and its keys below", kind(value), header)
		return
	}
	r.table(path, from, into)
}

func (r *report) setTunnels(path string, value any, into *[]Tunnel) {
	if _, ok := value.(map[string]any); ok {
		r.spoil(path)
		r.add(path, false, func() string { return "write [[tunnel]], with two brackets, above the keys of each tunnel" })
		return
	}
	from, ok := tables(value)
	if !ok {
		r.errorf(path, "must be a list of tables, not %s: write [[tunnel]], with two brackets, above the keys of each tunnel", kind(value))
		return
	}
	*into = make([]Tunnel, len(from))
	for i, table := range from {
		t := &(*into)[i]
		*t = defaultTunnel()
		t.Name, _ = table["name"].(string) // first: each problem names its tunnel
		r.table(element(path, i), table, reflect.ValueOf(t).Elem())
	}
}

// tables returns a list of tables, written as [[table]] or as [{...}, {...}].
func tables(value any) ([]map[string]any, bool) {
	if list, ok := value.([]map[string]any); ok {
		return list, true
	}
	list, ok := value.([]any)
	if !ok || len(list) == 0 {
		return nil, ok
	}
	tables := make([]map[string]any, len(list))
	for i, value := range list {
		if tables[i], ok = value.(map[string]any); !ok {
			return nil, false
		}
	}
	return tables, true
}

// fieldOf finds the field of a struct for a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("toml"); tag != "" && tag == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}
