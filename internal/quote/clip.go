package quote

import (
	"fmt"
	"strings"
)

// Clip is text, of which it leaves out what goes beyond most bytes: others can make us
// write long names.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..." // no half of a character
}

// Few has at most so many of the items, as they are, and counts the others.
func Few(items []string, most int) string {
	if n := len(items) - most; n > 0 {
		return fmt.Sprintf("%s and %d others", strings.Join(items[:most], ", "), n)
	}
	return strings.Join(items, ", ")
}

// Fill replaces what is in braces in a sentence. values are the words there, each followed
// by what takes its place.
func Fill(sentence string, values ...string) string {
	pairs := make([]string, len(values))
	for i, value := range values {
		if pairs[i] = value; i%2 == 0 {
			pairs[i] = "{" + value + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(sentence)
}
