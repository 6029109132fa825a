package service

import (
	"slices"
	"testing"
	"time"
)

// TestOwnServersAreNoClients: with client_auth, the keys of our own server
// certificates are named to the tunnel, be it the one that it shows or our CA's.
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
			cfg := load(t, server+tt.more)
			store, _, err := MakePKI(t.Context(), cfg)
			check(t, err)
			all, problems := translate(cfg, store, time.Now())
			check(t, problems.Err())
			own := all[0].settings.Own
			if slices.ContainsFunc(own, store.Server.Leaf.Equal) != tt.want {
				t.Errorf("got %d certificates", len(own))
			}
		})
	}
}
