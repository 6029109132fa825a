package config

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// Rule lets peers connect. It has the part of the certificate to compare, and the expected value.
// tunnel.Rule explains a * in it.
type Rule struct {
	Kind    string // one of ruleKinds
	Pattern string // of sha256: base64
}

var ruleKinds = []string{"cn", "dns", "uri", "email", "ou", "o", "sha256"}

// parseRule reads "cn:modality-*", "dns:*.clinic.example", "sha256:…". The error is the end of a
// sentence that begins with the text.
func parseRule(text string) (Rule, error) {
	kind, pattern, ok := strings.Cut(text, ":")
	if !ok {
		return Rule{}, fmt.Errorf("doesn't say what part of the certificate it is about: write %q, or another of %s before the colon", "cn:"+text, strings.Join(ruleKinds, " "))
	}
	if !slices.Contains(ruleKinds, kind) {
		advice := "write one of " + strings.Join(ruleKinds, " ")
		if meant, ok := nearest(strings.ToLower(kind), ruleKinds); ok {
			advice = fmt.Sprintf("did you mean %q?", meant)
		}
		return Rule{}, fmt.Errorf("begins with %q, which isn't known: %s", kind, advice)
	}
	r := Rule{kind, pattern}
	if kind == "sha256" {
		pin, err := parsePin(text)
		if err != nil {
			return r, errors.New("is no SHA-256 of a public key: write it in base64 or hexadecimal, as `tlstunnel cert show FILE` shows it")
		}
		r.Pattern = strings.TrimPrefix(pin, pinPrefix)
		return r, nil
	}
	return r, r.check()
}

func (r Rule) check() error {
	switch {
	case r.Pattern == "":
		return fmt.Errorf("has nothing after the colon: write what the certificate must have, such as %q", r.Kind+":*")
	case strings.TrimSpace(r.Pattern) != r.Pattern:
		return errors.New("has a space at its end or after the colon: remove it")
	case strings.ContainsFunc(r.Pattern, unicode.IsControl):
		return errors.New("has a control character")
	case strings.Contains(r.Pattern, "**"):
		return fmt.Errorf("has **, which means no more than *: write %q", r.Kind+":"+manyStars.ReplaceAllString(r.Pattern, "*"))
	case r.Kind == "email" && !strings.Contains(r.Pattern, "@"):
		return fmt.Errorf("has no @, so it matches no address: write %q for all of that domain", "email:*@clinic.example")
	case r.Kind == "uri" && !strings.Contains(r.Pattern, ":"):
		return fmt.Errorf("has no scheme, so it matches no URI: write one such as %q", "uri:spiffe://clinic.example/*")
	case r.Kind == "uri":
		return checkURIPattern(r.Pattern)
	case r.Kind == "dns":
		return checkDNSPattern(r.Pattern)
	}
	return nil
}

var manyStars = regexp.MustCompile(`\*{2,}`)

// checkURIPattern allows a * only in the path. A * in the host or the query would match
// certificates of strangers.
func checkURIPattern(pattern string) error {
	_, path, _ := strings.Cut(pattern, ":")
	if behind, ok := strings.CutPrefix(path, "//"); ok {
		_, path, _ = strings.Cut(behind, "/")
	}
	if end := strings.IndexAny(path, "?#"); end >= 0 {
		path = path[:end]
	}
	if strings.Count(path, "*") < strings.Count(pattern, "*") {
		return fmt.Errorf("has a * outside of the path: in a URI it stands for a segment of the path, or a part of one, as in %q", "uri:spiffe://clinic.example/*")
	}
	return nil
}

func checkDNSPattern(pattern string) error {
	if _, err := netip.ParseAddr(pattern); err == nil {
		return errors.New("is an IP address, which no rule is about: use a name in the certificate or its key, or allow_from for the address")
	}
	labels := strings.Split(pattern, ".")
	for i, label := range labels {
		if label == "*" {
			labels[i] = "x" // an example of what a * matches
		} else if strings.Contains(label, "*") {
			return fmt.Errorf("has a * beside other characters: in a DNS name it stands for a whole label, as in %q", "dns:*.clinic.example")
		}
	}
	return checkDNSName(strings.Join(labels, "."))
}
