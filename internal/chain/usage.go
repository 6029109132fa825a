package chain

import (
	"crypto/x509"
	"slices"
	"strconv"
	"strings"
)

var usages = map[x509.ExtKeyUsage]string{
	x509.ExtKeyUsageAny:             "any",
	x509.ExtKeyUsageServerAuth:      "TLS server",
	x509.ExtKeyUsageClientAuth:      "TLS client",
	x509.ExtKeyUsageCodeSigning:     "code signing",
	x509.ExtKeyUsageEmailProtection: "email protection",
	x509.ExtKeyUsageTimeStamping:    "time stamping",
	x509.ExtKeyUsageOCSPSigning:     "OCSP signing",
}

// Usages are the extended key usages of cert in words.
func Usages(cert *x509.Certificate) []string {
	var words []string
	for _, usage := range cert.ExtKeyUsage {
		word, ok := usages[usage]
		if !ok {
			word = "other (" + usage.String() + ")"
		}
		words = append(words, word)
	}
	for _, oid := range cert.UnknownExtKeyUsage {
		words = append(words, oid.String())
	}
	return words
}

// isFor reports whether cert may be used for that. Without the extension it may be
// used for anything.
func isFor(cert *x509.Certificate, usage x509.ExtKeyUsage) bool {
	return len(cert.ExtKeyUsage)+len(cert.UnknownExtKeyUsage) == 0 ||
		slices.Contains(cert.ExtKeyUsage, usage) || slices.Contains(cert.ExtKeyUsage, x509.ExtKeyUsageAny)
}

// wrongUse returns a fault if cert isn't for usage, otherwise nil. cert is a leaf or its CA.
func wrongUse(cert *x509.Certificate, usage x509.ExtKeyUsage) *Fault {
	if isFor(cert, usage) {
		return nil
	}
	code := "wrong_use"
	if IsCA(cert) {
		code = "ca_of_wrong_use"
	}
	return newFault(code, "cert", subject(cert), "use", plural[usage], "usages", strings.Join(Usages(cert), ", "), "wanted", strconv.Quote(usages[usage]))
}

var plural = map[x509.ExtKeyUsage]string{x509.ExtKeyUsageServerAuth: "servers", x509.ExtKeyUsageClientAuth: "clients"}
