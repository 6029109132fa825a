package dn

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Subject holds the fields of a certificate's subject. Empty fields are left out. The CA gets
// all fields except CommonName, because it has its own. An empty CommonName stands for the name
// of the machine.
type Subject struct {
	Country            string // two letters
	State              string
	Locality           string
	Organization       string
	OrganizationalUnit string
	CommonName         string
	Email              string
}

// MaxCommonName is how many characters a common name may have.
const MaxCommonName = 64 // ub-common-name, RFC 5280, appendix A.1

// attribute is one field of a subject.
type attribute struct {
	name  string // as in the config and in [Subject]
	oid   asn1.ObjectIdentifier
	max   int // characters, by RFC 5280, appendix A.1
	value func(*Subject) *string
}

// attributes has the fields in the order of a certificate, which is that of `openssl req`.
var attributes = []attribute{
	{"country", asn1.ObjectIdentifier{2, 5, 4, 6}, 2, func(s *Subject) *string { return &s.Country }},
	{"state", asn1.ObjectIdentifier{2, 5, 4, 8}, 128, func(s *Subject) *string { return &s.State }},
	{"locality", asn1.ObjectIdentifier{2, 5, 4, 7}, 128, func(s *Subject) *string { return &s.Locality }},
	{"organization", asn1.ObjectIdentifier{2, 5, 4, 10}, 64, func(s *Subject) *string { return &s.Organization }},
	{"organizational_unit", asn1.ObjectIdentifier{2, 5, 4, 11}, 64, func(s *Subject) *string { return &s.OrganizationalUnit }},
	{"common_name", asn1.ObjectIdentifier{2, 5, 4, 3}, MaxCommonName, func(s *Subject) *string { return &s.CommonName }},
	{"email", oidEmail, 255, func(s *Subject) *string { return &s.Email }},
}

var oidEmail = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 1}

// Validate returns an error if a field of s can't be in a certificate.
func (s Subject) Validate() error {
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

// Marshal encodes the subject with each field in an RDN of its own. pkix.Name would use another
// order and has no email address.
func (s Subject) Marshal() ([]byte, error) {
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

// SubjectOf returns name as a Subject, and the fields that it left out: those that [Subject]
// doesn't have, and all but the first of a kind, because readers disagree about two common
// names.
func SubjectOf(name pkix.Name) (s Subject, left []pkix.AttributeTypeAndValue) {
	for _, field := range name.Names {
		i := slices.IndexFunc(attributes, func(a attribute) bool { return a.oid.Equal(field.Type) })
		if i < 0 || *attributes[i].value(&s) != "" {
			left = append(left, field)
			continue
		}
		*attributes[i].value(&s) = fmt.Sprint(field.Value)
	}
	return s, left
}

func isControl(r rune) bool { return !unicode.IsPrint(r) }

func isNoLetter(r rune) bool { return r > unicode.MaxASCII || !unicode.IsLetter(r) }

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
