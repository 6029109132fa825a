package diagnose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/tls"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"tlstunnel/internal/quote"
	"tlstunnel/internal/strength"
)

// The kinds of keys that a certificate can have. A peer of TLS 1.2 may know only one.
const (
	kindRSA     = "RSA"
	kindECDSA   = "ECDSA"
	kindEd25519 = "Ed25519"
)

func kindOf(key crypto.PublicKey) string {
	switch key.(type) {
	case *rsa.PublicKey:
		return kindRSA
	case *ecdsa.PublicKey:
		return kindECDSA
	case ed25519.PublicKey:
		return kindEd25519
	}
	return fmt.Sprintf("%T", key)
}

// withArticle is for what goes on with "key".
func withArticle(kinds string) string {
	if kinds == "" {
		return "another kind of"
	}
	return "an " + kinds
}

// nothingInCommon says why no parameters of TLS suit both a peer and us. text is the error
// of crypto/tls, which has what the peer offered.
func (h *Handshake) nothingInCommon(text string) Diagnosis {
	if d, ok := h.oldSuites(text); ok {
		return d
	}
	if h.offersOnlyP521() {
		return h.new("peer.slow_key_exchange")
	}
	ours := h.ours()
	if h.Hello == nil || len(ours) == 0 {
		return h.new("*.nothing_in_common", "more", "")
	}
	kind, takes := kindOf(ours[0].PublicKey), kindsTaken(h.Hello, h.Config)
	if len(takes) == 0 || slices.Contains(takes, kind) {
		return h.new("*.nothing_in_common", "more", ": it offers "+offered(h.Hello))
	}
	wanted := strings.Join(takes, " or ")
	return h.new("*.takes_other_key", "wanted", withArticle(wanted), "ours", withArticle(kind), "kinds", wanted, "offer", offered(h.Hello))
}

// offersOnlyP521 reports whether the peer's only key exchange is one that the profile leaves
// out because of its cost.
func (h *Handshake) offersOnlyP521() bool {
	ours := h.Config.CurvePreferences
	if h.Hello == nil || len(ours) == 0 || slices.Contains(ours, tls.CurveP521) {
		return false
	}
	isOurs := func(id tls.CurveID) bool { return slices.Contains(ours, id) }
	return slices.Contains(h.Hello.SupportedCurves, tls.CurveP521) && !slices.ContainsFunc(h.Hello.SupportedCurves, isOurs)
}

// oldSuites is for a peer that the legacy profile would do for, but ours doesn't.
func (h *Handshake) oldSuites(text string) (d Diagnosis, ok bool) {
	isNew := func(id uint16) bool { return slices.Contains(strength.Suites, id) }
	isOld := func(id uint16) bool { return slices.Contains(strength.LegacySuites, id) && !isNew(id) }
	isForUs := func(id uint16) bool { return isForKey(id, h.Config) }
	offered := offeredSuites(text)
	old := suitesThat(offered, isOld)
	oldForUs := suitesThat(old, isForUs)
	switch {
	case !slices.Equal(h.Config.CipherSuites, strength.Suites), slices.ContainsFunc(suitesThat(offered, isNew), isForUs):
		return d, false
	case len(oldForUs) > 0:
		return h.new("*.old_suites", "suites", suiteNames(oldForUs)), true
	case len(old) > 0 && !slices.ContainsFunc(offered, isNew):
		return h.new("*.old_suites_of_rsa", "suites", suiteNames(old)), true
	}
	return d, false
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
	_, list, _ := strings.Cut(text, textOffered)
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
	return quote.Few(names, 4)
}

// kindsTaken are the kinds of keys that a peer takes in a certificate, by what it
// offers that we have too.
func kindsTaken(hello *tls.ClientHelloInfo, config *tls.Config) []string {
	if slices.Contains(hello.SupportedVersions, tls.VersionTLS13) {
		return kindsOfSchemes(hello.SignatureSchemes, true)
	}
	bySuites := kindsOfSuites(slices.DeleteFunc(slices.Clone(hello.CipherSuites), func(id uint16) bool { return !hasSuite(config, id) }))
	if len(hello.SignatureSchemes) == 0 { // the extension is younger than TLS 1.1
		return bySuites
	}
	bySchemes := kindsOfSchemes(hello.SignatureSchemes, false)
	return slices.DeleteFunc(bySuites, func(kind string) bool { return !slices.Contains(bySchemes, kind) })
}

func hasSuite(config *tls.Config, id uint16) bool {
	if config.CipherSuites != nil {
		return slices.Contains(config.CipherSuites, id)
	}
	return slices.ContainsFunc(tls.CipherSuites(), func(s *tls.CipherSuite) bool { return s.ID == id })
}

func kindsOfSuites(suites []uint16) (kinds []string) {
	for _, kind := range []struct{ name, part string }{{kindRSA, "_RSA_"}, {kindECDSA, "_ECDSA_"}, {kindEd25519, "_ECDSA_"}} { // RFC 8422, section 5.10
		if slices.ContainsFunc(suites, func(id uint16) bool { return strings.Contains(tls.CipherSuiteName(id), kind.part) }) {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

// kindsOfSchemes leaves out what TLS 1.3 doesn't allow, if it is that.
func kindsOfSchemes(schemes []tls.SignatureScheme, tls13 bool) (kinds []string) {
	for _, kind := range []struct {
		name    string
		schemes []tls.SignatureScheme
	}{
		{kindRSA, []tls.SignatureScheme{tls.PSSWithSHA256, tls.PSSWithSHA384, tls.PSSWithSHA512}},
		{kindRSA, []tls.SignatureScheme{tls.PKCS1WithSHA256, tls.PKCS1WithSHA384, tls.PKCS1WithSHA512, tls.PKCS1WithSHA1}},
		{kindECDSA, []tls.SignatureScheme{tls.ECDSAWithP256AndSHA256, tls.ECDSAWithP384AndSHA384, tls.ECDSAWithP521AndSHA512, tls.ECDSAWithSHA1}},
		{kindEd25519, []tls.SignatureScheme{tls.Ed25519}},
	} {
		old := kind.schemes[0] == tls.PKCS1WithSHA256
		if !(old && tls13) && !slices.Contains(kinds, kind.name) &&
			slices.ContainsFunc(kind.schemes, func(s tls.SignatureScheme) bool { return slices.Contains(schemes, s) }) {
			kinds = append(kinds, kind.name)
		}
	}
	return kinds
}

// offered names what a peer offers that both sides must have in common.
func offered(hello *tls.ClientHelloInfo) string {
	const renegotiationInfo, fallback = 0x00ff, 0x5600 // no suites, though among them (RFC 5746, 7507)
	var suites, groups, schemes []string
	for _, id := range hello.CipherSuites {
		if id != renegotiationInfo && id != fallback {
			suites = append(suites, tls.CipherSuiteName(id))
		}
	}
	for _, id := range hello.SupportedCurves {
		groups = append(groups, id.String())
	}
	for _, scheme := range hello.SignatureSchemes {
		schemes = append(schemes, scheme.String())
	}
	return "the cipher suites " + listOf(suites) + ", the groups " + listOf(groups) + ", the signatures " + listOf(schemes)
}

// listOf lists five of the items at the most.
func listOf(items []string) string {
	if len(items) == 0 {
		return "none"
	}
	return quote.Few(items, 5)
}
