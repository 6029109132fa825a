package config

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
)

// invisible says what a character is that looks like a space, or like nothing, and what to
// do about it. Web pages, chats and joined files bring them along. Both are "" for any
// other.
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

// firstInvisible finds the first of those characters in a line that is neither in quotes nor
// in a comment, where it can't stand. The result is -1 if there is none.
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

// variable is how shells write the environment: ${NAME}, $NAME, %NAME%.
var variable = regexp.MustCompile(`\$\{\w+\}|^\$[A-Za-z_]\w*|%[A-Za-z_]\w*%`)

const isVariable = "has a variable in it, and the environment isn't read: write the value itself"

// whyPasted says what is wrong with a text that was taken over from elsewhere as it was,
// rather than what else it could have meant. It goes on after the text, and is "" if
// nothing is.
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
