package tunnel

import (
	"crypto/tls"

	"tlstunnel/internal/strength"
)

// SetProfile makes c accept what the profile of that name does: "modern", "default" or
// "legacy". It takes any other name for the strictest.
func SetProfile(c *tls.Config, name string) {
	switch name {
	case "default":
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, strength.Suites
	case "legacy":
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, strength.LegacySuites
	default:
		c.MinVersion = tls.VersionTLS13
	}
}
