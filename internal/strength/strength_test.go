package strength

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

func ecKey(t *testing.T, curve elliptic.Curve) *ecdsa.PublicKey {
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return &key.PublicKey
}

func TestCheck(t *testing.T) {
	for _, tt := range []struct {
		name string
		key  any
		want string // "": it is good
	}{
		{"RSA 1024", testkit.RSAPublic(1024), "weak"},
		{"RSA 2047", testkit.RSAPublic(2047), "weak"},
		{"RSA 2048", testkit.RSAPublic(2048), ""},
		{"RSA 8192", testkit.RSAPublic(8192), ""},
		{"RSA 8193", testkit.RSAPublic(8193), "too large"},
		{"P-224", ecKey(t, elliptic.P224()), "weak"},
		{"P-256", ecKey(t, elliptic.P256()), ""},
		{"P-521", ecKey(t, elliptic.P521()), ""},
		{"Ed25519", ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)), ""},
		{"another", "key", "unknown kind"},
		{"none", nil, "unknown kind"},
	} {
		err := Check(tt.key)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v", tt.name, err)
		}
	}
}
