// Package quote makes text that comes from outside safe to show: a peer's, a CA's,
// a service's answer, a name in a certificate or of a file. A character that can't
// be printed could move the cursor of a terminal, recolour it, hide text or make a
// line that looks like one of ours. Each becomes a JSON escape. The package doesn't put text
// between quotation marks: %q does that, and escapes the same characters.
//
//	fmt.Errorf("the CA says %s", quote.Text(detail))
package quote

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns s on one line: it escapes line breaks and tabs, too.
func Text(s string) string { return escape(s, "") }

// Lines returns s with its line breaks and tabs unchanged.
func Lines(s string) string { return escape(s, "\n\t") }

// Writer returns a writer that escapes like [Lines] and writes to w. All output to a terminal
// goes through it, so that no command can forget it. Each Write must have complete characters.
func Writer(w io.Writer) io.Writer { return writer{w} }

type writer struct{ io.Writer }

func (w writer) Write(p []byte) (int, error) {
	if _, err := io.WriteString(w.Writer, Lines(string(p))); err != nil {
		return 0, err
	}
	return len(p), nil
}

func escape(s, keep string) string {
	harmless := func(r rune) bool { return strconv.IsPrint(r) || strings.ContainsRune(keep, r) }
	if utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !harmless(r) }) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case harmless(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r > 0xffff: // JSON has no other way
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		s = s[size:]
	}
	return b.String()
}
