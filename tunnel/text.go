package tunnel

import (
	"fmt"
	"strings"
)

// maxText bounds what others can make us write into a line: the names in a
// certificate, the protocols in a ClientHello.
const maxText = 1000

func clip(text string) string { return clipTo(text, maxText) }

func clipTo(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..." // no half of a character
}

// listed has at most so many of the items, and counts the others.
func listed(items []string, most int) string {
	if n := len(items) - most; n > 0 {
		return fmt.Sprintf("%s and %d others", strings.Join(items[:most], ", "), n)
	}
	return strings.Join(items, ", ")
}
