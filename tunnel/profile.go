package tunnel

import (
	"crypto/tls"

	"tlstunnel/internal/strength"
)

// SetProfile sets the versions and cipher suites in c to those of the profile "modern",
// "default" or "legacy". Any other name counts as the strictest.
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
