package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/service/compile"
)

// TestOddCA: if Go can't use one CA of a bundle, a start, a reload and check warn of it by
// its name. The others are trusted. If it is the only CA, that is an error.
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
			s.log.Await(t, strings.ReplaceAll(warning, `"`, `\"`))
			s.reload(text + "idle_timeout = '1h'\n")
			s.log.AwaitCount(t, strings.ReplaceAll(warning, `"`, `\"`), 2)
			problems := compile.Check(s.cfg, time.Now())
			if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Text, "Go knows no brainpool curves") {
				t.Errorf("check says %v", problems)
			}
			check(t, os.WriteFile(bundle, odd, 0o600))
			if problems := compile.Check(s.cfg, time.Now()); problems.Err() == nil || !strings.Contains(problems.Err().Error(), "no certificate that can be used") {
				t.Errorf("alone: check says %v", problems)
			}
		})
	}
}
