package certfile

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"

	"tlstunnel/internal/dn"
)

// describedElsewhere are the extensions with fields of their own in [Description].
var describedElsewhere = []string{"2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"}

var extensionNames = map[string]string{
	"2.5.29.30":               "name constraints",
	"2.5.29.31":               "CRL at",
	"2.5.29.32":               "policies",
	"2.5.29.36":               "policy constraints",
	"1.3.6.1.5.5.7.1.1":       "issuer's services",
	"1.3.6.1.5.5.7.1.24":      "must staple OCSP",
	"1.3.6.1.4.1.11129.2.4.2": "certificate transparency timestamps",
	"1.3.6.1.4.1.11129.2.4.3": "precertificate poison",
	"1.3.6.1.4.1.311.20.2":    "Microsoft certificate template",
	"1.3.6.1.4.1.311.21.7":    "Microsoft certificate template",
	"2.16.840.1.113730.1.13":  "Netscape comment",
}

// extensionText describes the other extensions.
func extensionText(cert *x509.Certificate) (words []string) {
	for _, extension := range cert.Extensions {
		oid := extension.Id.String()
		if slices.Contains(describedElsewhere, oid) {
			continue
		}
		text, ok := extensionNames[oid]
		if !ok {
			text = "unknown (" + oid + ")"
		}
		if values := extensionValues(cert, oid); len(values) > 0 {
			text += " " + strings.Join(values, ", ")
		}
		if extension.Critical {
			text += ", critical"
		}
		words = append(words, text)
	}
	return words
}

func extensionValues(cert *x509.Certificate, oid string) (values []string) {
	switch oid {
	case "2.5.29.30":
		for _, list := range [][]string{cert.PermittedDNSDomains, cert.PermittedEmailAddresses, cert.PermittedURIDomains} {
			for _, name := range list {
				values = append(values, "only "+dn.Quote(name))
			}
		}
		for _, ip := range cert.PermittedIPRanges {
			values = append(values, "only "+ip.String())
		}
		for _, list := range [][]string{cert.ExcludedDNSDomains, cert.ExcludedEmailAddresses, cert.ExcludedURIDomains} {
			for _, name := range list {
				values = append(values, "not "+dn.Quote(name))
			}
		}
		for _, ip := range cert.ExcludedIPRanges {
			values = append(values, "not "+ip.String())
		}
	case "2.5.29.31":
		for _, url := range cert.CRLDistributionPoints {
			values = append(values, dn.Quote(url))
		}
	case "2.5.29.32":
		for _, policy := range cert.Policies {
			values = append(values, policy.String())
		}
	case "1.3.6.1.5.5.7.1.1":
		for _, url := range cert.OCSPServer {
			values = append(values, fmt.Sprintf("OCSP at %s", dn.Quote(url)))
		}
		for _, url := range cert.IssuingCertificateURL {
			values = append(values, fmt.Sprintf("its certificate at %s", dn.Quote(url)))
		}
	}
	return values
}
