package service

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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

// TestOddCA: one CA of a bundle that Go can't use is a warning that names it, at the start,
// a reload and by check; the others are trusted. Alone, it is an error.
func TestOddCA(t *testing.T) {
	odd, err := os.ReadFile("../pki/certfile/testdata/odd/brainpool.crt")
	check(t, err)
	const warning = `the certificate "CN=Odd CA" in line 1 of `
	for key, text := range map[string]string{
		"client_ca": "mode = 'server'\ntarget = '127.0.0.1:9'\nclient_auth = 'require'\n",
		"ca":        "mode = 'client'\ntarget = 'pacs.example:9'\n",
	} {
		t.Run(key, func(t *testing.T) {
			text = "[[tunnel]]\nname = 'a'\nlisten = '127.0.0.1:0'\n" + text + key + " = 'bundle.pem'\n"
			var bundle string
			s := startService(t, text, func(dir string) {
				bundle = filepath.Join(dir, "bundle.pem")
				good := newAuthority(t, filepath.Join(dir, "foreign"), "Foreign")
				ca, err := os.ReadFile(filepath.Join(good.store.Dir, "ca.crt"))
				check(t, err)
				check(t, os.WriteFile(bundle, append(odd, ca...), 0o600))
			})
			if s.Addr("a") == nil {
				t.Fatalf("the tunnel doesn't run:\n%s", s.log)
			}
			s.log.await(t, strings.ReplaceAll(warning, `"`, `\"`))
			s.reload(text + "idle_timeout = '1h'\n")
			s.log.awaitCount(t, strings.ReplaceAll(warning, `"`, `\"`), 2)
			problems := Check(s.cfg, time.Now())
			if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Text, "Go knows no brainpool curves") {
				t.Errorf("check says %v", problems)
			}
			check(t, os.WriteFile(bundle, odd, 0o600))
			if problems := Check(s.cfg, time.Now()); problems.Err() == nil || !strings.Contains(problems.Err().Error(), "no certificate that can be used") {
				t.Errorf("alone: check says %v", problems)
			}
		})
	}
}
