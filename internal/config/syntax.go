package config

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/BurntSushi/toml"

	"tlstunnel/internal/quote"
)

const backslashes = `in double quotes a backslash starts an escape such as \n; ` +
	`write the path in single quotes ('C:\new'), or each backslash twice`

const (
	saveAsUTF8 = "save it as UTF-8 (in Notepad: Save as, Encoding)"

	// onlyThis is the end of an error that stops the reading of the file. Any other time the user
	// gets all mistakes at once.
	onlyThis = "; the rest of the file is looked at once this is right"
)

// encodingProblem reports text that isn't UTF-8. The library would only tell the start of the
// line.
func encodingProblem(p *positions) (problem Problem, ok bool) {
	if isUTF16(p.src) {
		text := "the file is saved as UTF-16: " + saveAsUTF8 + onlyThis
		return Problem{File: p.file, Line: 1, Col: 1, Text: text}, false
	}
	for i := 0; i < len(p.src); {
		c, size := utf8.DecodeRuneInString(p.src[i:])
		if c == utf8.RuneError && size == 1 {
			at := p.at(i)
			text := "this character shows that the file is saved in another encoding than UTF-8: " + saveAsUTF8 + onlyThis
			return Problem{File: p.file, Line: at.line, Col: at.col, Text: text}, false
		}
		i += size
	}
	return Problem{}, true
}

// isUTF16 looks for the byte order mark that Windows editors put at the start. Without the mark,
// every second byte of plain letters is 0.
func isUTF16(src string) bool {
	return strings.HasPrefix(src, "\xff\xfe") || strings.HasPrefix(src, "\xfe\xff") ||
		strings.IndexByte(src[:min(2, len(src))], 0) >= 0
}

// depthProblem reports the key that [scanKeys] found too deep.
func depthProblem(p *positions, offset int) Problem {
	at := p.at(offset)
	text := fmt.Sprintf("this is more than %d tables and lists deep, or its full name longer than %d bytes: "+
		"nothing in a config is; is it the right file?", maxLevels, maxPath)
	return Problem{File: p.file, Line: at.line, Col: at.col, Text: text}
}

// syntaxProblem explains why the library can't read a file.
func syntaxProblem(p *positions, err error) Problem {
	problem := Problem{File: p.file, Line: 1, Col: 1, Text: err.Error() + onlyThis}
	var parseErr toml.ParseError
	if errors.As(err, &parseErr) {
		// The line and column that the library gives disagree with each other
		// at the end of a line; Start is right.
		at := p.at(parseErr.Position.Start)
		line := strings.Split(p.src, "\n")[at.line-1]
		if i := firstInvisible(line); i >= 0 {
			c, _ := utf8.DecodeRuneInString(line[i:])
			what, cure := invisible(c)
			return Problem{File: p.file, Line: at.line, Col: utf8.RuneCountInString(line[:i]) + 1, Text: "here is " + what + ": " + cure + onlyThis}
		}
		problem.Line, problem.Col = at.line, at.col
		problem.Text = quote.Text(explain(parseErr.Message, strings.TrimSpace(line))) + onlyThis
	}
	return problem
}

// explain turns the library's message about a line into one for users who don't know TOML.
func explain(message, line string) string {
	says := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(message, part) {
				return true
			}
		}
		return false
	}
	key, value, isPair := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	bad := fmt.Sprintf("not valid TOML: %s", message)
	if namesSecret(key) {
		bad = "not valid TOML: text needs quotes"
	}
	wrongValue := says("expected value but found", "a top-level item to end", "float", "date", "expected a digit")

	switch {
	case strings.ContainsAny(message, typographic), curesQuotes(line):
		return explainQuotes(line)
	case says("invalid escape", "hexadecimal digits"),
		says("cannot contain newlines", "top-level item to end") && strings.Contains(value, `\"`):
		return backslashes
	case says("cannot contain newlines"):
		return "the quote at the end of this text is missing"
	case says("already been defined", "already created"):
		return explainTwice(message, key, line)
	case strings.HasPrefix(line, ";"), strings.HasPrefix(line, "//"):
		return "a comment starts with #"
	case says("expected '.' or '='"):
		return "a line is key = value, a [table] or a # comment; this is none of them"
	case wrongValue && isPair && value == "":
		return key + ` has no value: write one behind the =, "" for an empty text`
	case wrongValue && isPair && !strings.ContainsAny(value[:1], `"'[{`):
		return explainBare(key, value)
	case wrongValue, says("expected a comma"):
		return `this is no value, or has something behind it: text needs quotes, in a list too: ["one", "two"]`
	}
	return bad
}

// explainTwice explains the error about a key or table that is in the file twice.
func explainTwice(message, key, line string) string {
	table := strings.Trim(line, "[] \t")
	switch {
	case table == "tunnel":
		return "write [[tunnel]], with two brackets, above the keys of every tunnel"
	case strings.HasPrefix(line, "["):
		return fmt.Sprintf("[%s] is there twice: put the keys of both below one", table)
	}
	text := key + " is there twice: remove one"
	if strings.Contains(message, "'tunnel.") {
		text += ", or start another tunnel above it with a line [[tunnel]]"
	}
	return text
}

// explainBare explains the error about a value without quotes.
func explainBare(key, value string) string {
	value, _, _ = strings.Cut(value, " #")
	value = strings.TrimSpace(value)
	switch strings.ToLower(value) {
	case "true", "yes", "on":
		return fmt.Sprintf("%s can't be %s: write %s = true", key, value, key)
	case "false", "no", "off":
		return fmt.Sprintf("%s can't be %s: write %s = false", key, value, key)
	}
	if namesSecret(key) {
		value = "…"
	}
	return fmt.Sprintf("%s needs quotes: write %s = %s", key, key, quoted(value))
}
