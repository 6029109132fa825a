package certfile

import (
	"bytes"
	"encoding/pem"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

// oddReasons say why Go can't use the certificates in testdata/odd, which openssl made.
var oddReasons = map[string]string{
	"brainpool": "has a key on the curve brainpoolP256r1, and Go knows no brainpool curves",
	"secp256k1": "has a key on the curve secp256k1, which Go doesn't know",
	"explicit":  "has a key with the parameters of its curve written out, and Go takes the name of a curve alone",
	"negative":  "has a negative serial number, which RFC 5280 forbids",
	"critical":  "has its subject key identifier marked critical, which RFC 5280 forbids",
	"rsa1024":   "has a weak key, RSA with 1024 bits: one with at least 2048 is needed",
}

// TestOddCA: if Go can't use a certificate of a bundle, a warning says so, and the others
// count.
func TestOddCA(t *testing.T) {
	store := newAuthority(t, "CA")
	good := readFile(t, filepath.Join(store.dir, "ca.crt"))
	for name, reason := range oddReasons {
		t.Run(name, func(t *testing.T) {
			odd := readFile(t, filepath.Join("testdata", "odd", name+".crt"))
			block, _ := pem.Decode(odd)
			file := filepath.Join(t.TempDir(), "bundle.pem")
			write := func(parts ...[]byte) { writeFile(t, file, bytes.Join(parts, nil)) }
			after := fmt.Sprintf("line %d", bytes.Count(good, []byte("\n"))+1)
			for place, parts := range map[string][][]byte{
				"line 2": {[]byte("# roots\n"), odd, good},
				after:    {good, odd},
			} {
				write(parts...)
				cas, unusable, err := LoadCAs(file)
				if err != nil || len(cas) != 1 || !cas[0].Equal(store.ca) || len(unusable) != 1 {
					t.Fatalf("got %d certificates, %v, %v", len(cas), unusable, err)
				}
				want := fmt.Sprintf(`the certificate "CN=Odd CA" in %s of %q isn't used: it %s`, place, file, reason)
				if got := unusable[0].Error(); got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
			}
			for _, alone := range [][]byte{odd, bytes.Repeat(odd, 2), block.Bytes} {
				write(alone)
				if cas, _, err := LoadCAs(file); err == nil || !strings.Contains(err.Error(), reason) {
					t.Errorf("alone: got %d certificates and %v", len(cas), err)
				}
			}
			// Read it as a certificate of our own.
			write(odd, readFile(t, filepath.Join(store.dir, "server.key")))
			if _, err := LoadKeyPair(file, "", ""); err == nil || name != "rsa1024" && !strings.Contains(err.Error(), reason) {
				t.Errorf("as our own: got %v", err)
			}
		})
	}
}
