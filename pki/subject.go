package pki

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Subject holds the fields of a certificate's subject. An empty one is left
// out. The CA gets all but CommonName, for which it has its own; an empty
// CommonName stands for the name of the machine.
type Subject struct {
	Country            string // two letters
	State              string
	Locality           string
	Organization       string
	OrganizationalUnit string
	CommonName         string
	Email              string
}

const maxCommonName = 64 // ub-common-name, RFC 5280, appendix A.1

// attribute is one field of a subject.
type attribute struct {
	name  string // as in the config and in [Subject]
	oid   asn1.ObjectIdentifier
	max   int // characters, by RFC 5280, appendix A.1
	value func(*Subject) *string
}

// attributes are in the order that they have in a certificate, which is that
// of `openssl req`.
var attributes = []attribute{
	{"country", asn1.ObjectIdentifier{2, 5, 4, 6}, 2, func(s *Subject) *string { return &s.Country }},
	{"state", asn1.ObjectIdentifier{2, 5, 4, 8}, 128, func(s *Subject) *string { return &s.State }},
	{"locality", asn1.ObjectIdentifier{2, 5, 4, 7}, 128, func(s *Subject) *string { return &s.Locality }},
	{"organization", asn1.ObjectIdentifier{2, 5, 4, 10}, 64, func(s *Subject) *string { return &s.Organization }},
	{"organizational_unit", asn1.ObjectIdentifier{2, 5, 4, 11}, 64, func(s *Subject) *string { return &s.OrganizationalUnit }},
	{"common_name", asn1.ObjectIdentifier{2, 5, 4, 3}, maxCommonName, func(s *Subject) *string { return &s.CommonName }},
	{"email", oidEmail, 255, func(s *Subject) *string { return &s.Email }},
}

var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

func (s Subject) validate() error {
	for _, a := range attributes {
		value := *a.value(&s)
		switch {
		case !utf8.ValidString(value) || strings.ContainsFunc(value, isControl):
			return fmt.Errorf("subject %s %q has characters that can't be printed", a.name, value)
		case utf8.RuneCountInString(value) > a.max:
			return fmt.Errorf("subject %s %q is too long: %d characters, at most %d are allowed", a.name, value, utf8.RuneCountInString(value), a.max)
		}
	}
	if s.Country != "" && (len(s.Country) != 2 || strings.ContainsFunc(s.Country, isNoLetter)) {
		return fmt.Errorf("subject country %q isn't a code of two letters such as \"KR\"", s.Country)
	}
	if !isASCII(s.Email) {
		return fmt.Errorf("subject email %q isn't plain ASCII", s.Email)
	}
	return nil
}

// marshal encodes the subject with each field in an RDN of its own. It isn't
// left to pkix.Name, which sorts the fields in another order and knows no
// email address.
func (s Subject) marshal() ([]byte, error) {
	var rdns pkix.RDNSequence
	for _, a := range attributes {
		text := *a.value(&s)
		if text == "" {
			continue
		}
		var value any = text // PrintableString, or UTF8String where need be
		if a.oid.Equal(oidEmail) {
			value = asn1.RawValue{Tag: asn1.TagIA5String, Bytes: []byte(text)} // PKCS #9
		}
		rdns = append(rdns, pkix.RelativeDistinguishedNameSET{{Type: a.oid, Value: value}})
	}
	return asn1.Marshal(rdns)
}

func isControl(r rune) bool { return !unicode.IsPrint(r) }

func isNoLetter(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}

// truncate drops what can't be printed and shortens the rest to at most max
// characters.
func truncate(s string, max int) string {
	printable := strings.Map(func(r rune) rune {
		if isControl(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	runes := []rune(printable)
	return string(runes[:min(len(runes), max)])
}
