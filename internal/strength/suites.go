package strength

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Suites are the suites of TLS 1.2 with forward secrecy and authenticated encryption. It has no
// CBC suites: they authenticate before they encrypt, which attacks such as Lucky 13 use. The
// suites of TLS 1.3 can't be chosen.
var Suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// LegacySuites are all suites of TLS 1.2 in crypto/tls, also those with CBC, 3DES and RSA key
// exchange. Only RC4 is missing, which RFC 7465 forbids. crypto/tls chooses the best suite that
// the peer offers.
var LegacySuites = func() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && !strings.Contains(suite.Name, "RC4") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}()
