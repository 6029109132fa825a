package config

import (
	"strings"

	"github.com/BurntSushi/toml"

	"tlstunnel/internal/quote"
)

// typographic holds the quotes that word processors and mail programs put in the place of plain
// ones.
const typographic = "“”„‟‘’‚‛"

var plainQuotes = strings.NewReplacer("“", `"`, "”", `"`, "„", `"`, "‟", `"`, "‘", "'", "’", "'", "‚", "'", "‛", "'")

const (
	asInLetters = "typographic quotes, as a word processor makes them"
	plainOnes   = `write plain ones, " or '`
)

// quotes reports text that has typographic quotes around it, and returns whether it has none. It
// accepts them in the subject of a certificate, where a user may want them.
func (r *report) quotes(path, text string) bool {
	bare := strings.Trim(text, typographic)
	if bare == text || strings.HasPrefix(path, "pki.subject.") {
		return true
	}
	if namesSecret(path) {
		r.errorf(path, "has %s: %s", asInLetters, plainOnes)
	} else {
		r.errorf(path, "%q has %s: write %s", text, asInLetters, quoted(bare))
	}
	return false
}

// explainQuotes explains why a line with typographic quotes isn't TOML.
func explainQuotes(line string) string {
	if curesQuotes(line) && !namesSecret(line) {
		return asInLetters + ": write " + withPlainQuotes(line)
	}
	return asInLetters + ": " + plainOnes
}

// curesQuotes reports whether a line becomes valid TOML with plain quotes.
func curesQuotes(line string) bool {
	return strings.ContainsAny(line, typographic) && !isTOML(line) && isTOML(withPlainQuotes(line))
}

// withPlainQuotes replaces the typographic quotes of a line by plain ones and removes its comment.
// If the line has backslashes, it takes single quotes: in those a backslash is a plain character.
func withPlainQuotes(line string) string {
	line, _, _ = strings.Cut(line, " #")
	line = plainQuotes.Replace(strings.TrimSpace(line))
	if strings.Contains(line, `\`) {
		line = strings.ReplaceAll(line, `"`, "'")
	}
	return line
}

func isTOML(text string) bool {
	if _, tooDeep := scanKeys(text); tooDeep >= 0 {
		return false
	}
	var doc map[string]any
	_, err := toml.Decode(text, &doc)
	return err == nil
}

// quoted is text as a value of TOML that a user can copy.
func quoted(text string) string {
	if strings.ContainsAny(text, `"\`) {
		return "'" + quote.Text(text) + "'"
	}
	return `"` + quote.Text(text) + `"`
}
