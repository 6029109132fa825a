package tunnel

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"tlstunnel/internal/quote"
)

// A Rule lets peers connect, by a name in their certificate or by its key.
type Rule struct {
	// Kind is the compared part: cn, o and ou of the subject, dns, uri and email of the subject
	// alternative names, and sha256, the key, as in [Pin].
	Kind string

	// Pattern is the expected value. A * stands for one label of a DNS name, in a uri for a
	// segment of the path or a part of one, in an email for any characters without an @, and
	// elsewhere for any characters, even none. Only DNS names ignore letter case.
	Pattern string
}

func (r Rule) String() string { return r.Kind + ":" + r.Pattern }

// wildcards has the regular expressions that a * stands for. A * in a DNS name doesn't match the
// * of a wildcard certificate, which isn't for a single host. In a URI it doesn't match percent
// encoding: a program that decodes it may find a slash.
var wildcards = map[string]string{"dns": `[a-z0-9_-]+`, "uri": `[^/?#%\\]+`, "email": `[^@]*`}

// dotSegment matches a . or .. in a path, which leads elsewhere (RFC 3986, section 5.2.4).
var dotSegment = regexp.MustCompile(`(/|\A)\.\.?([/?#]|\z)`)

// rule is a Rule ready for use.
type rule struct {
	Rule
	pattern *regexp.Regexp
}

func newRule(r Rule) rule {
	wildcard, ok := wildcards[r.Kind]
	if !ok {
		wildcard = ".*"
	}
	parts := strings.Split(fold(r).Pattern, "*")
	for i := range parts {
		parts[i] = regexp.QuoteMeta(parts[i])
	}
	return rule{r, regexp.MustCompile(`(?s)\A` + strings.Join(parts, wildcard) + `\z`)}
}

// fold lowers the ASCII letters of a DNS name. It ignores other letters: Unicode would fold the
// Kelvin sign to "k".
func fold(name Rule) Rule {
	if name.Kind == "dns" {
		name.Pattern = strings.Map(func(c rune) rune {
			if 'A' <= c && c <= 'Z' {
				c += 'a' - 'A'
			}
			return c
		}, name.Pattern)
	}
	return name
}

func (r rule) matches(name Rule) bool {
	if r.Kind == "uri" && strings.Contains(r.Pattern, "*") && dotSegment.MatchString(name.Pattern) {
		return false
	}
	return r.Kind == name.Kind && r.pattern.MatchString(fold(name).Pattern)
}

// authorize checks whether a peer that has proved its certificate may connect.
func (t *Tunnel) authorize(c *conn) *ending {
	if c.settings.Front == nil {
		return nil
	}
	if why := t.whyRevoked(c); why != nil {
		return &ending{refused, why.Of(byPeer, "whose", "the peer's certificate"), nil}
	}
	var offered []Rule
	if len(c.session.PeerCertificates) > 0 {
		offered = namesOf(c.session.PeerCertificates[0])
	}
	own := len(offered) > 0 && c.settings.isOwn(c.session.PeerCertificates[0])
	if own {
		offered = offered[:1] // only the key: no other rule may let in our own certificate
	} else if len(c.settings.allow) == 0 {
		return nil
	}
	for _, r := range c.settings.allow {
		for _, name := range offered {
			if r.matches(name) {
				c.allowedBy = r.String()
				return nil
			}
		}
	}
	if own {
		return refusal("peer.has_our_key", "key", strconv.Quote(offered[0].String()))
	}
	return refusal("peer.not_in_allow", "names", quoteRules(offered), "rules", quoteRules(c.settings.Allow))
}

// isOwn reports whether cert has the key of a certificate of ours. It compares keys, not bytes:
// a key may have several encodings.
func (s *settings) isOwn(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && slices.ContainsFunc(s.Own, func(own *x509.Certificate) bool { return key.Equal(own.PublicKey) })
}

// oidCN is commonName (X.520). [pkix.Name] keeps only the last of several.
var oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}

// namesOf returns all values that a rule can compare, each as the rule that matches it. It
// leaves out empty names.
func namesOf(cert *x509.Certificate) []Rule {
	names := []Rule{{"sha256", strings.TrimPrefix(pinOf(cert), "sha256:")}}
	add := func(kind string, values ...string) {
		for _, value := range values {
			if value != "" {
				names = append(names, Rule{kind, value})
			}
		}
	}
	add("cn", commonNames(cert.Subject)...)
	add("dns", cert.DNSNames...)
	for _, uri := range cert.URIs {
		add("uri", uri.String())
	}
	add("email", cert.EmailAddresses...)
	add("ou", cert.Subject.OrganizationalUnit...)
	add("o", cert.Subject.Organization...)
	return names
}

func commonNames(subject pkix.Name) (names []string) {
	for _, attribute := range subject.Names {
		if value, ok := attribute.Value.(string); ok && attribute.Type.Equal(oidCN) {
			names = append(names, value)
		}
	}
	return names
}

// quoteRules returns rules for a message, at most ten.
func quoteRules(rules []Rule) string {
	var all []string
	for _, r := range rules {
		all = append(all, fmt.Sprintf("%q", quote.Clip(r.String(), 100)))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return quote.Few(all, 10)
}
