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

// SetQuickExchanges makes c, the config of a server, leave out the key exchange with P-521. It
// takes eight times as long as the others, and any stranger who says hello can ask for it.
func SetQuickExchanges(c *tls.Config) {
	c.CurvePreferences = []tls.CurveID{
		tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384,
	}
}
