package strength

import (
	"crypto/tls"
	"slices"
	"strings"
)

// Suites are those of TLS 1.2 with forward secrecy and authenticated encryption.
// The suites with CBC authenticate first and encrypt then, for which there were
// attacks from Lucky 13 to Raccoon. Those of TLS 1.3 can't be chosen.
var Suites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// LegacySuites are all of TLS 1.2 that crypto/tls has, with CBC, 3DES and the key
// exchange of RSA, but for RC4, which RFC 7465 forbids. Of those that a peer offers,
// crypto/tls takes the best.
var LegacySuites = func() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && !strings.Contains(suite.Name, "RC4") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}()
