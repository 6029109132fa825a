package quote

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

func TestQuote(t *testing.T) {
	for _, test := range []struct{ in, text, lines string }{
		{"", "", ""},
		{`plain "text" with C:\path`, `plain "text" with C:\path`, `plain "text" with C:\path`},
		{"Größe 한국 😀", "Größe 한국 😀", "Größe 한국 😀"},
		{"\x1b[2J\x1b]0;pwned\a", `\u001b[2J\u001b]0;pwned\u0007`, `\u001b[2J\u001b]0;pwned\u0007`},
		{"a\r\n\tb", `a\r\n\tb`, "a\\r\n\tb"},
		{"8 bit \u009b31m", `8 bit \u009b31m`, `8 bit \u009b31m`},
		{"raw \x9b31m\xff", `raw \x9b31m\xff`, `raw \x9b31m\xff`},
		{"right to left \u202e", `right to left \u202e`, `right to left \u202e`},
		{"nothing to see\u200b\u00a0", `nothing to see\u200b\u00a0`, `nothing to see\u200b\u00a0`},
		{"tag \U000e0041", `tag \udb40\udc41`, `tag \udb40\udc41`},
		{"\x00\x7f", `\u0000\u007f`, `\u0000\u007f`},
	} {
		if got := Text(test.in); got != test.text {
			t.Errorf("%q: got %q, want %q", test.in, got, test.text)
		}
		if got := Lines(test.in); got != test.lines {
			t.Errorf("%q: got lines %q, want %q", test.in, got, test.lines)
		}
		var b strings.Builder
		if n, err := Writer(&b).Write([]byte(test.in)); n != len(test.in) || err != nil || b.String() != test.lines {
			t.Errorf("%q: wrote %d, %v, %q", test.in, n, err, b.String())
		}
	}
}

// TestEveryCharacter: the output has no character that can't be printed. JSON that goes
// through a Writer means the same as before.
func TestEveryCharacter(t *testing.T) {
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if r > 0xffff {
			r += 100 // some of them will do
		}
		text := Text(string(r))
		for _, c := range text {
			if !strconv.IsPrint(c) {
				t.Fatalf("%U: got %q", r, text)
			}
		}
		if !strconv.IsPrint(r) {
			before, err := json.Marshal(string(r))
			if err != nil {
				t.Fatal(err)
			}
			var want, after string
			if err := json.Unmarshal(before, &want); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(Lines(string(before))), &after); err != nil || after != want {
				t.Fatalf("%U: JSON %s says %q (%v), want %q", r, Lines(string(before)), after, err, want)
			}
		}
	}
}
