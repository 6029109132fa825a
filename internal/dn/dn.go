// Package dn writes what people know a certificate by: the distinguished names of its
// subject and issuer, and its fingerprint. They look the same wherever the program shows
// them, in its log, its messages and its commands. It doesn't compare them.
//
//	dn.Text(cert.Subject)   // C=KR, O="Example Co., Ltd.", CN=host, emailAddress=a@b.example
//	dn.Fingerprint(cert)    // 5F:0A:…
package dn

import (
	"cmp"
	"crypto/x509/pkix"
	"fmt"
	"strconv"
	"strings"
)

// keys are those of OpenSSL.
var keys = map[string]string{
	"2.5.4.3":                    "CN",
	"2.5.4.5":                    "serialNumber",
	"2.5.4.6":                    "C",
	"2.5.4.7":                    "L",
	"2.5.4.8":                    "ST",
	"2.5.4.9":                    "street",
	"2.5.4.10":                   "O",
	"2.5.4.11":                   "OU",
	"2.5.4.17":                   "postalCode",
	"0.9.2342.19200300.100.1.1":  "UID",
	"0.9.2342.19200300.100.1.25": "DC",
	"1.2.840.113549.1.9.1":       "emailAddress",
}

// Text writes the fields of a name that was read from a certificate, in the order
// that they have there. The String of pkix.Name reverses them and shows an email
// address as hex. The result can be printed as it is: a foreign certificate can't
// send control characters to a terminal.
func Text(name pkix.Name) string {
	var fields []string
	for _, field := range name.Names {
		oid := field.Type.String()
		fields = append(fields, cmp.Or(keys[oid], oid)+"="+Quote(fmt.Sprint(field.Value)))
	}
	return strings.Join(fields, ", ")
}

// Quote quotes what would be misread in a list of names, or can't be printed.
func Quote(s string) string {
	if s == "" || strings.ContainsAny(s, `,=+"\`) || strings.TrimSpace(s) != s || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}
