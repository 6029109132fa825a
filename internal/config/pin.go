package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// pinPrefix is in front of every pin. Without it, a pin could be the fingerprint of a certificate,
// which has the same length.
const pinPrefix = "sha256:"

const pinAdvice = `write "sha256:…", the SHA-256 of the other side's public key, as ` + "`tlstunnel cert show` shows it"

// hexOctets matches pairs of hexadecimal digits, with or without a colon between the pairs.
var hexOctets = regexp.MustCompile(`^([0-9A-Fa-f]{2}(:[0-9A-Fa-f]{2})+|([0-9A-Fa-f]{2})+)$`)

// parsePin returns a pin as [Tunnel.Pins] has it, with the hash in base64. The text may have the
// hash in hexadecimal, too. The error is the end of a sentence that begins with the text.
func parsePin(text string) (string, error) {
	if hash, ok := strings.CutPrefix(text, "sha256//"); ok {
		return "", fmt.Errorf("is as curl has it: write %q", pinPrefix+hash)
	}
	hash, ok := strings.CutPrefix(text, pinPrefix)
	if !ok && hexOctets.MatchString(text) {
		return "", fmt.Errorf("may be the fingerprint of a certificate, which is no pin: %s", pinAdvice)
	}
	if !ok {
		return "", fmt.Errorf("is no pin: %s", pinAdvice)
	}
	sum, err := decodeHash(hash)
	switch {
	case err != nil:
		return "", fmt.Errorf("is neither base64 nor hexadecimal after \"sha256:\": copy it anew, or %s", pinAdvice)
	case len(sum) == 20:
		return "", fmt.Errorf("has 20 bytes, which is a SHA-1: %s", pinAdvice)
	case len(sum) != sha256.Size:
		return "", fmt.Errorf("has %d bytes, but a SHA-256 has %d: copy it anew, or %s", len(sum), sha256.Size, pinAdvice)
	}
	return pinPrefix + base64.StdEncoding.EncodeToString(sum), nil
}

// decodeHash reads base64 or hexadecimal. It can't confuse them: without the "=", 32 bytes in
// base64 are 43 digits, and the number of hexadecimal digits is even.
func decodeHash(text string) ([]byte, error) {
	if hexOctets.MatchString(text) {
		return hex.DecodeString(strings.ReplaceAll(text, ":", ""))
	}
	return base64.RawStdEncoding.Strict().DecodeString(strings.TrimSuffix(text, "="))
}
