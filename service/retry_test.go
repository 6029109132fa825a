package service

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// leftOutReason is why the named tunnel is left out, "" if it isn't.
func (s *subject) leftOutReason(name string) string {
	s.t.Helper()
	for _, tunnel := range s.Status().Tunnels {
		if tunnel.Name == name && tunnel.LeftOut != nil {
			return tunnel.LeftOut.Reason
		}
	}
	return ""
}

// later tries all that is left out, as if the time of the next attempt had come.
func (s *subject) later() {
	s.t.Helper()
	next := s.nextOfAll()
	s.retryLeftOut(s.t.Context(), next)
	for len(s.reading) > 0 {
		s.finishRetry(s.t.Context(), <-s.rereads, next)
	}
}

// nextOfAll is when the time of the next attempt has come for all that is left out.
func (s *subject) nextOfAll() (next time.Time) {
	s.t.Helper()
	for _, tunnel := range s.Status().Tunnels {
		if tunnel.LeftOut != nil && tunnel.LeftOut.Next.After(next) {
			next = tunnel.LeftOut.Next
		}
	}
	return next
}

// TestLeftOut: a fault outside of the config that hits one tunnel leaves out that tunnel
// alone. When the fault is gone, the tunnel runs.
func TestLeftOut(t *testing.T) {
	spare := t.TempDir() // a PKI whose files the tests bring along
	_, _, err := pki.Ensure(t.Context(), pki.Settings{Dir: spare, KeyType: "ecdsa-p256", CAValidity: 1000 * time.Hour, CertValidity: time.Hour}, time.Now())
	check(t, err)
	bring := func(from, to string) {
		data, err := os.ReadFile(filepath.Join(spare, from))
		check(t, err)
		check(t, replaceFile(to, string(data)))
	}
	const pair = "cert = 'my.crt'\nkey = 'my.key'"
	tests := []struct {
		name, more string
		prepare    func(dir string)
		want       string
		mend       func(dir string)
	}{
		{"no certificate", pair, nil, `my.crt": file does not exist`,
			func(dir string) {
				bring("server.key", filepath.Join(dir, "my.key"))
				bring("server.crt", filepath.Join(dir, "my.crt"))
			}},
		{"a broken certificate", pair,
			func(dir string) {
				bring("server.key", filepath.Join(dir, "my.key"))
				check(t, os.WriteFile(filepath.Join(dir, "my.crt"), nil, 0o600))
			}, "it is empty",
			func(dir string) { bring("server.crt", filepath.Join(dir, "my.crt")) }},
		{"no CA", "client_auth = 'require'\nclient_ca = 'their.crt'", nil, `their.crt": file does not exist`,
			func(dir string) { bring("ca.crt", filepath.Join(dir, "their.crt")) }},
		{"no CRL", requireOwn + "\ncrl = 'their.crl'", nil, `their.crl": file does not exist`,
			func(dir string) {
				newAuthority(t, filepath.Join(dir, "pki"), "").revoke(filepath.Join(dir, "their.crl"), time.Hour)
			}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			target := greeter(t, "one")
			config := serverTunnel("well", "127.0.0.1:0", target, "") + serverTunnel("ill", "127.0.0.1:0", target, tt.more)
			s := startService(t, config, func(dir string) {
				if tt.prepare != nil {
					tt.prepare(dir)
				}
			})
			speak(s.dial("well", s.tlsConfig())).expect(t, "one")
			if got := s.leftOutReason("ill"); !strings.Contains(got, tt.want) {
				t.Fatalf("left out since %q, want %q", got, tt.want)
			}
			s.log.Await(t, `level=ERROR msg="`+msgLeftOut+`" tunnel=ill err="`)
			s.later()
			s.later()
			if got := strings.Count(s.log.String(), msgLeftOut); got != 1 {
				t.Errorf("the same reason was logged %d times", got)
			}
			tt.mend(filepath.Dir(s.file))
			s.later()
			if got := s.leftOutReason("ill"); got != "" {
				t.Fatalf("still left out: %s", got)
			}
			s.log.Await(t, `level=INFO msg="`+msgListensAgain+`" tunnel=ill`)
			if c, err := net.Dial("tcp", s.Addr("ill").String()); err != nil {
				t.Error(err)
			} else {
				c.Close()
			}
		})
	}
}

// TestExpiredCertificate: the tunnel shows an expired certificate, and the peer decides.
func TestExpiredCertificate(t *testing.T) {
	for name, began := range map[string]time.Time{"expired": time.Now().Add(-48 * time.Hour), "not valid yet": time.Now().Add(48 * time.Hour)} {
		t.Run(name, func(t *testing.T) {
			s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "cert = 'old/server.crt'\nkey = 'old/server.key'"),
				func(dir string) {
					_, _, err := pki.Ensure(t.Context(), pki.Settings{Dir: filepath.Join(dir, "old"), KeyType: "ecdsa-p256",
						CAValidity: 24 * time.Hour, CertValidity: 24 * time.Hour}, began)
					check(t, err)
				})
			s.log.Await(t, `level=WARN msg="`+msgExpiry+`"`)
			speak(s.dial("a", &tls.Config{InsecureSkipVerify: true})).expect(t, "one")
			c, err := s.Reload(t.Context(), false)
			check(t, err)
			if got := names(c.Unchanged); len(got) != 1 {
				t.Errorf("got %s", tunnelsOf(c))
			}
		})
	}
}

// TestLeftOutPKI: the folder of our own PKI can't be made yet, as on a disk that is
// mounted late. A tunnel that doesn't need it runs.
func TestLeftOutPKI(t *testing.T) {
	s := startService(t, serverTunnel("own", "127.0.0.1:0", greeter(t, "one"), "")+
		"[[tunnel]]\nname = 'other'\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:1'\n",
		func(dir string) { check(t, os.WriteFile(filepath.Join(dir, "pki"), nil, 0o600)) })
	if s.leftOutReason("own") == "" || s.leftOutReason("other") != "" {
		t.Fatalf("got %+v", s.Status().Tunnels)
	}
	check(t, os.Remove(filepath.Join(filepath.Dir(s.file), "pki")))
	s.later()
	speak(s.dial("own", s.tlsConfig())).expect(t, "one")

	// The PKI isn't made a second time.
	check(t, os.RemoveAll(s.pkiDir()))
	if _, err := s.ownPKI(t.Context(), s.cfg); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// TestLeftOutPort: a port that is taken, and an address that isn't this machine's.
func TestLeftOutPort(t *testing.T) {
	t.Parallel()
	taken := testkit.Listen(t)
	target := greeter(t, "one")
	config := serverTunnel("well", "127.0.0.1:0", target, "") +
		serverTunnel("taken", taken.Addr().String(), target, "") + serverTunnel("elsewhere", "192.0.2.1:2762", target, "")
	s := startService(t, config)
	s.supervised()
	speak(s.dial("well", s.tlsConfig())).expect(t, "one")
	if got := s.leftOutReason("elsewhere"); !strings.Contains(got, `listening on "192.0.2.1:2762": this machine has no such address`) {
		t.Errorf("got %q", got)
	}
	if got := s.leftOutReason("taken"); !strings.Contains(got, "another program has this port") {
		t.Errorf("got %q", got)
	}

	// If a tunnel is left out already, that is no reason to refuse a reload.
	changed := strings.Replace(config, "[[tunnel]]", "[[tunnel]]\nconnect_timeout = '9s'", 1)
	c := s.reload(changed)
	if got, want := tunnelsOf(c)+fmt.Sprint(" left out ", names(c.LeftOut)), "opened [] closed [] changed [well] unchanged [] at restart [] left out [taken elsewhere]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	taken.Close()
	s.log.Await(t, `msg="`+msgListensAgain+`" tunnel=taken`)
	speak(s.dial("taken", s.tlsConfig())).expect(t, "one")
}

// TestLeftOutReload: a reload brings back what it can. If it would leave out another tunnel,
// or one for another reason, it is refused.
func TestLeftOutReload(t *testing.T) {
	target := greeter(t, "one")
	well := serverTunnel("well", "127.0.0.1:0", target, "")
	const missing = "cert = 'my.crt'\nkey = 'my.key'"
	ill := serverTunnel("ill", "127.0.0.1:0", target, missing)
	s := startService(t, well+ill)
	for _, tt := range []struct{ name, config string }{
		{"a new one", well + ill + serverTunnel("new", "127.0.0.1:0", target, missing)},
		{"one that runs", serverTunnel("well", "127.0.0.1:0", target, missing) + ill},
		{"another reason", well + serverTunnel("ill", "127.0.0.1:0", target, "cert = 'other.crt'\nkey = 'other.key'")},
	} {
		s.write(tt.config)
		if _, err := s.Reload(t.Context(), false); err == nil {
			t.Errorf("%s: no error", tt.name)
		}
	}
	for _, tt := range []struct{ config, want string }{
		{serverTunnel("ill", "127.0.0.1:0", target, missing+"\nidle_timeout = '1h'") + well, "opened [] unchanged [well] left out [ill]"},
		{well + serverTunnel("ill", "127.0.0.1:0", target, ""), "opened [ill] unchanged [well] left out []"},
		{well, "opened [] unchanged [well] left out []"},
	} {
		c := s.reload(tt.config)
		if got := fmt.Sprint("opened ", names(c.Opened), " unchanged ", names(c.Unchanged), " left out ", names(c.LeftOut)); got != tt.want {
			t.Errorf("got %s, want %s", got, tt.want)
		}
	}
}

// TestAttemptAfter: whenever an address comes, there is an attempt within 20 s.
func TestAttemptAfter(t *testing.T) {
	for failures, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 1 << 40: 10 * time.Second} {
		if got := retryBackoff.After(failures); got != want {
			t.Errorf("after %d: %v, want %v", failures, got, want)
		}
	}
	now := time.Now()
	s := &Service{log: slog.New(slog.DiscardHandler)}
	s.current.Store(&snapshot{})
	if got := s.nextAttempt(now); got < time.Minute {
		t.Errorf("with nothing left out: %v", got)
	}
	s.publish(s.cfg, []*running{{out: (*leftOut)(nil).failedAgain(nil, now)}})
	if got := s.nextAttempt(now); got != time.Second {
		t.Errorf("got %v", got)
	}
}
