package tunnel

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// defaultSuites are those of TLS 1.2 with forward secrecy and authenticated encryption.
// The suites with CBC authenticate first and encrypt then, for which there were
// attacks from Lucky 13 to Raccoon. Those of TLS 1.3 can't be chosen.
var defaultSuites = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

// legacySuites are all of TLS 1.2 that crypto/tls has, with CBC, 3DES and the key
// exchange of RSA, but for RC4, which RFC 7465 forbids. Of those that a peer offers,
// crypto/tls takes the best.
var legacySuites = func() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		if slices.Contains(suite.SupportedVersions, tls.VersionTLS12) && !strings.Contains(suite.Name, "RC4") {
			ids = append(ids, suite.ID)
		}
	}
	return ids
}()

// SetProfile makes c accept what the profile of that name does: "modern", "default" or
// "legacy". It takes any other name for the strictest.
func SetProfile(c *tls.Config, name string) {
	switch name {
	case "default":
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, defaultSuites
	case "legacy":
		c.MinVersion, c.CipherSuites = tls.VersionTLS12, legacySuites
	default:
		c.MinVersion = tls.VersionTLS13
	}
}

// explainLegacy is for a peer that the legacy profile would do for, but ours doesn't: it
// says what to do. text is the error of crypto/tls, which has what the peer offered.
// It is "" for any other peer.
func explainLegacy(config *tls.Config, text string) string {
	isNew := func(id uint16) bool { return slices.Contains(defaultSuites, id) }
	isOld := func(id uint16) bool { return slices.Contains(legacySuites, id) && !isNew(id) }
	isForUs := func(id uint16) bool { return isForKey(id, config) }
	offered := offeredSuites(text)
	old := suitesThat(offered, isOld)
	oldForUs := suitesThat(old, isForUs)
	const reason = "the peer offers none but old cipher suites (%s), which profile = \"default\" leaves out: update it, or set profile = \"legacy\" in this tunnel"
	switch {
	case !slices.Equal(config.CipherSuites, defaultSuites), slices.ContainsFunc(suitesThat(offered, isNew), isForUs):
		return ""
	case len(oldForUs) > 0:
		return fmt.Sprintf(reason, suiteNames(oldForUs))
	case len(old) > 0 && !slices.ContainsFunc(offered, isNew):
		return fmt.Sprintf(reason+" and give it a certificate with an RSA key, as the peer takes no other", suiteNames(old))
	}
	return ""
}

// orUncommon goes on after the reason that the other side found nothing in common: what
// that may be, too. It doesn't say.
func (t *terms) orUncommon() string {
	text := ""
	if slices.Equal(t.config.CipherSuites, defaultSuites) {
		text = "; if it is old and can't be updated, set profile = \"legacy\""
	}
	if t.who == byTarget {
		text += "; perhaps its certificate has a key that Go doesn't know, as those on brainpool curves"
	}
	return text
}

func suitesThat(ids []uint16, are func(uint16) bool) (those []uint16) {
	for _, id := range ids {
		if are(id) {
			those = append(those, id)
		}
	}
	return those
}

// isForKey tells whether a suite of TLS 1.2 goes with the key of the certificate
// in config.
func isForKey(id uint16, config *tls.Config) bool {
	if len(config.Certificates) == 0 || config.Certificates[0].Leaf == nil {
		return true // it isn't known
	}
	isRSA := kindOf(config.Certificates[0].Leaf.PublicKey) == kindRSA
	return isRSA != strings.Contains(tls.CipherSuiteName(id), "_ECDSA_")
}

// offeredSuites reads what is in brackets at the end of "client offered: [c014 ff]".
func offeredSuites(text string) (ids []uint16) {
	_, list, _ := strings.Cut(text, "client offered: [")
	for _, digits := range strings.Fields(strings.TrimSuffix(list, "]")) {
		if id, err := strconv.ParseUint(digits, 16, 16); err == nil {
			ids = append(ids, uint16(id))
		}
	}
	return ids
}

// suiteNames lists suites for a message, four at the most.
func suiteNames(ids []uint16) string {
	var names []string
	for _, id := range ids {
		names = append(names, tls.CipherSuiteName(id))
	}
	return listed(names, 4)
}
