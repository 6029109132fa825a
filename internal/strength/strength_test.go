package strength

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"math/big"
	"strings"
	"testing"
)

func rsaKey(bits uint) *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).Lsh(big.NewInt(1), bits-1), E: 65537}
}

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
		{"RSA 1024", rsaKey(1024), "weak"},
		{"RSA 2047", rsaKey(2047), "weak"},
		{"RSA 2048", rsaKey(2048), ""},
		{"RSA 8192", rsaKey(8192), ""},
		{"RSA 8193", rsaKey(8193), "too large"},
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
