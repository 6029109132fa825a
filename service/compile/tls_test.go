package compile

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// TestSlowKeyExchange: only a server tunnel with the legacy profile does the key exchange with
// P-521, which takes much longer than the others. Clients may still meet a server that wants it.
func TestSlowKeyExchange(t *testing.T) {
	dir := t.TempDir()
	for _, profile := range []string{"modern", "default", "legacy"} {
		cfg, problems := config.Parse(filepath.Join(dir, "config.toml"), fmt.Appendf(nil, `
			pki.dir = 'pki'
			[[tunnel]]
			name = "server"
			mode = "server"
			listen = "127.0.0.1:0"
			target = "127.0.0.1:104"
			profile = %q
			[[tunnel]]
			name = "client"
			mode = "client"
			listen = "127.0.0.1:0"
			target = "localhost:2762"
			ca = "own"
			profile = %[1]q
		`, profile))
		testkit.Check(t, problems.Err())
		store, _, err := pki.Ensure(t.Context(), PKI(cfg), time.Now())
		testkit.Check(t, err)
		all, problems := Tunnels(cfg, store, time.Now())
		testkit.Check(t, problems.Err())
		server, client := all[0].Settings.Front, all[1].Settings.Targets[0].TLS
		roots := x509.NewCertPool()
		roots.AddCert(store.CA)
		for _, group := range []tls.CurveID{tls.X25519MLKEM768, tls.SecP256r1MLKEM768, tls.SecP384r1MLKEM1024, tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} {
			only := []tls.CurveID{group}
			err := handshake(t, server, &tls.Config{RootCAs: roots, ServerName: "localhost", CurvePreferences: only})
			if want := profile == "legacy" || group != tls.CurveP521; (err == nil) != want {
				t.Errorf("a server tunnel with %s and a peer with %s alone: got %v", profile, group, err)
			}
			err = handshake(t, &tls.Config{Certificates: server.Certificates, CurvePreferences: only}, client)
			if err != nil {
				t.Errorf("a client tunnel with %s and a target with %s alone: got %v", profile, group, err)
			}
		}
	}
}

// handshake returns the error of the client.
func handshake(t *testing.T, server, client *tls.Config) error {
	front, back := testkit.Connect(t)
	defer front.Close()
	go func() {
		defer back.Close()
		_ = tls.Server(back, server).Handshake()
	}()
	return tls.Client(front, client).Handshake()
}
