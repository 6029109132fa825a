package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// invisible recognises characters that look like a space or can't be seen. It returns what the
// character is and what to do about it, or "" twice for any other character. They come with text
// from web pages and chats, and with joined files.
func invisible(c rune) (what, cure string) {
	switch {
	case c == ' ':
		return "", ""
	case c == '\u00a0', c == '\u202f':
		return fmt.Sprintf("a no-break space (%U)", c), "replace it by a space"
	case unicode.Is(unicode.Zs, c):
		return fmt.Sprintf("an unusual space (%U)", c), "replace it by a space"
	case unicode.Is(unicode.Zl, c), unicode.Is(unicode.Zp, c):
		return fmt.Sprintf("a line separator (%U)", c), "replace it by a space or a new line"
	case unicode.Is(unicode.Cf, c):
		return fmt.Sprintf("an invisible character (%U)", c), "delete it"
	}
	return "", ""
}

func isInvisible(c rune) bool {
	what, _ := invisible(c)
	return what != ""
}

// firstInvisible returns where a line has its first invisible character outside of quotes and
// comments, or -1. TOML doesn't allow it there.
func firstInvisible(line string) int {
	quote := rune(0)
	escaped := false
	for i, c := range line {
		switch {
		case escaped:
			escaped = false
		case quote == '"' && c == '\\':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '"', c == '\'':
			quote = c
		case c == '#':
			return -1
		case isInvisible(c):
			return i
		}
	}
	return -1
}

// variable matches a variable of the environment as shells write it: ${NAME}, $NAME, %NAME%.
var variable = regexp.MustCompile(`\$\{\w+\}|^\$[A-Za-z_]\w*|%[A-Za-z_]\w*%`)

const isVariable = "has a variable in it, and the environment isn't read: write the value itself"

// whyPasted returns what is wrong with a text that was probably pasted from elsewhere: a space at
// its end, an invisible character, a variable. For such a text this helps more than the error of
// its parser. The result is the end of a sentence that begins with the text, or "" if nothing is
// wrong.
func whyPasted(text string) string {
	if bare := strings.TrimSpace(text); bare != text && bare != "" && whyPasted(bare) == "" {
		return "has a space at its beginning or end: write " + quoted(bare)
	}
	for _, c := range text {
		if what, cure := invisible(c); what != "" {
			return "has " + what + " in it: " + cure
		}
	}
	if variable.MatchString(text) {
		return isVariable
	}
	return ""
}
