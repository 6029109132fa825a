package config

import (
	"fmt"
	"strings"
	"testing"
	"unicode"
)

// TestInvisible goes over all characters that look like a space or like nothing. If one
// stands between the words of a file, the message names the character, its place and the
// remedy.
func TestInvisible(t *testing.T) {
	const good = "watch = true\n[[tunnel]]\nname = \"#\\\"\" # a\u00a0b \"\n"
	for _, table := range []*unicode.RangeTable{unicode.Zs, unicode.Zl, unicode.Zp, unicode.Cf} {
		eachOf(table, func(c rune) {
			for _, before := range []string{"= true", "true", "\n[[", "[[", "tunnel", "]]", "name", "= \"", "\"#", "# a"} {
				at := strings.Index(good, before)
				text := good[:at] + string(c) + good[at:]
				_, problems := Parse("f.toml", []byte(text))
				if c == ' ' {
					continue
				}
				line := strings.Count(text[:at], "\n")
				col := len(text[:at]) - strings.LastIndex(text[:at], "\n")
				place, name := fmt.Sprintf("f.toml:%d:%d: here is a", line+1, col), fmt.Sprintf(" (%U): ", c)
				if got := lines(problems); len(problems) != 1 || !strings.Contains(got, place) || !strings.Contains(got, name) {
					t.Errorf("%U before %q: got\n%s", c, before, got)
				}
			}
		})
	}
}

// TestInvisibleMeant: in strings and comments, such characters are allowed.
func TestInvisibleMeant(t *testing.T) {
	_, problems := Parse("f.toml", []byte("\ufeff# a\u00a0b\u200b\n[[tunnel]]\nname = 'a'\nmode = 'server'\nlisten = ':1'\ntarget = '127.0.0.1:9'\n"+
		"client_auth = 'require'\nallow = \"cn:می\u200cخواهم\" # \u2028\ncrl = 'a\u00a0b.crl'\n"))
	if len(problems) > 0 {
		t.Errorf("got\n%s", lines(problems))
	}
}

func eachOf(table *unicode.RangeTable, do func(rune)) {
	for _, r := range table.R16 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			do(c)
		}
	}
	for _, r := range table.R32 {
		for c := rune(r.Lo); c <= rune(r.Hi); c += rune(r.Stride) {
			do(c)
		}
	}
}
