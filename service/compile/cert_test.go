package compile

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// TestEndSoon: the advice depends on who renews the certificate.
func TestEndSoon(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	pacs := pkix.Name{Names: []pkix.AttributeTypeAndValue{{Type: []int{2, 5, 4, 3}, Value: "pacs"}}}
	end := func(days int) *x509.Certificate {
		return &x509.Certificate{Raw: []byte{byte(days)}, Subject: pacs, NotBefore: now.AddDate(-1, 0, 0), NotAfter: now.AddDate(0, 0, days)}
	}
	begins := end(200)
	begins.NotBefore = now.AddDate(0, 0, 1)
	const begin = `the certificate "CN=pacs" expires on 2026-12-05, in 10 days: `
	for _, test := range []struct {
		cert, own, ca *x509.Certificate
		want          string
	}{
		{end(31), end(10), end(100), ""},
		{end(10), end(11), end(100), begin + "renew it"},
		{end(-1), end(11), end(100), `the certificate "CN=pacs" expired on ` + date.Time(end(-1).NotAfter) + ", and peers refuse it: renew it"},
		{begins, end(11), end(100), `the certificate "CN=pacs" isn't valid before ` + date.Time(begins.NotBefore) +
			", and here it is " + date.Time(now) + ": peers refuse it until then, unless it is this machine's clock that is wrong"},
		{end(10), end(10), end(10), begin + "its CA ends with it, `tlstunnel ca rotate` makes the next one"},
		{end(10), end(10), end(100), begin + "it should have renewed itself, `tlstunnel cert renew` does it or says why not"},
	} {
		b := builder{now: now, store: &pki.Store{CA: test.ca, Server: tls.Certificate{Leaf: test.own}}}
		if got := b.expiryWarning(test.cert); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

// TestOwnServersAreNoClients: with client_auth, the tunnel gets the keys of our own server
// certificates: the one that it shows and that of our own CA.
func TestOwnServersAreNoClients(t *testing.T) {
	const server = `
		[[tunnel]]
		name = "server"
		mode = "server"
		listen = "127.0.0.1:0"
		target = "127.0.0.1:104"
	`
	for _, tt := range []struct {
		name, more string
		want       bool
	}{
		{"everybody may connect", "", false},
		{"our own CA", `client_auth = "require"`, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg, problems := config.Parse(filepath.Join(t.TempDir(), "config.toml"), []byte("pki.dir = 'pki'\n"+server+tt.more))
			testkit.Check(t, problems.Err())
			store, _, err := pki.Ensure(t.Context(), PKI(cfg), time.Now())
			testkit.Check(t, err)
			all, problems := Tunnels(cfg, store, time.Now())
			testkit.Check(t, problems.Err())
			own := all[0].Settings.Own
			if slices.ContainsFunc(own, store.Server.Leaf.Equal) != tt.want {
				t.Errorf("got %d certificates", len(own))
			}
		})
	}
}
