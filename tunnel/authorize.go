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

// A Rule is one of those that say which peers may connect, by a name in their
// certificate or by its key.
type Rule struct {
	// Kind is what is looked at: cn, o and ou in the subject, dns, uri and email
	// in the subject alternative names, and sha256, the key, as in [Pin].
	Kind string

	// Pattern is what it must be. A * stands for one label of a DNS name, in a uri
	// for a segment of the path or a part of one, in an email for any run of
	// characters but an @, and elsewhere for any run, even none. Letter case counts
	// but in DNS names.
	Pattern string
}

func (r Rule) String() string { return r.Kind + ":" + r.Pattern }

// wildcards are what a * stands for, as regular expressions. A wildcard certificate
// isn't for any one host, so no * in a DNS name stands for its *. What is
// percent-encoded in a URI may be a slash to whoever decodes it.
var wildcards = map[string]string{"dns": `[a-z0-9_-]+`, "uri": `[^/?#%\\]+`, "email": `[^@]*`}

// dotSegment is a part of a path by which it leads elsewhere (RFC 3986, section 5.2.4).
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

// fold takes the letter case from a DNS name, and from ASCII alone: for Unicode,
// the Kelvin sign is a "k".
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

// authorize says whether a peer that has proved its certificate may connect.
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
		offered = offered[:1] // only its key: no other rule means ourselves
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

// isOwn tells whether cert has the key of a certificate of ours. There may be several
// encodings of one key.
func (s *settings) isOwn(cert *x509.Certificate) bool {
	key, ok := cert.PublicKey.(interface{ Equal(crypto.PublicKey) bool })
	return ok && slices.ContainsFunc(s.Own, func(own *x509.Certificate) bool { return key.Equal(own.PublicKey) })
}

// oidCN is X.520's commonName. Of several, [pkix.Name] has the last one only.
var oidCN = asn1.ObjectIdentifier{2, 5, 4, 3}

// namesOf lists all that a rule can be about, each as the rule that would match
// it. Empty names are none.
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

// quoteRules lists rules for a message, ten at the most.
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
