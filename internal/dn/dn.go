// Package dn writes the parts by which people recognize a certificate: the distinguished names
// of subject and issuer, and the fingerprint. They look the same in log, messages and commands.
// The package doesn't compare names.
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

// keys are the short names that OpenSSL writes for attributes, by OID.
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

// Text returns the fields of a name from a certificate, in the certificate's order.
// pkix.Name.String would reverse them and write an email address in hex. The result is safe to
// print: a foreign certificate can't send control characters to a terminal.
func Text(name pkix.Name) string {
	var fields []string
	for _, field := range name.Names {
		oid := field.Type.String()
		fields = append(fields, cmp.Or(keys[oid], oid)+"="+Quote(fmt.Sprint(field.Value)))
	}
	return strings.Join(fields, ", ")
}

// Quote quotes a text that would be misread in a list of names, or that can't be printed.
func Quote(s string) string {
	if s == "" || strings.ContainsAny(s, `,=+"\`) || strings.TrimSpace(s) != s || strconv.Quote(s) != `"`+s+`"` {
		return strconv.Quote(s)
	}
	return s
}
