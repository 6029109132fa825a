package quote

import (
	"fmt"
	"strings"
)

// Clip shortens text to at most most bytes and "...": a peer may send long names.
func Clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..." // without half a character at the end
}

// Few joins at most most of the items, and says how many others there are.
func Few(items []string, most int) string {
	if n := len(items) - most; n > 0 {
		return fmt.Sprintf("%s and %d others", strings.Join(items[:most], ", "), n)
	}
	return strings.Join(items, ", ")
}

// Fill replaces the words in braces in a sentence. values are pairs of a word and its
// replacement.
func Fill(sentence string, values ...string) string {
	pairs := make([]string, len(values))
	for i, value := range values {
		if pairs[i] = value; i%2 == 0 {
			pairs[i] = "{" + value + "}"
		}
	}
	return strings.NewReplacer(pairs...).Replace(sentence)
}
