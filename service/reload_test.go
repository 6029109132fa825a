package service

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tlstunnel/internal/logging"
	"tlstunnel/internal/testkit"
	"tlstunnel/pki"
)

// serverTunnel is the config of a server tunnel.
func serverTunnel(name, listen, target, more string) string {
	return fmt.Sprintf("[[tunnel]]\nname = %q\nmode = 'server'\nlisten = %q\ntarget = %q\n%s\n", name, listen, target, more)
}

// tunnelsOf are the names of the endpoints.
func tunnelsOf(c Changes) string {
	return fmt.Sprintf("opened %v closed %v changed %v unchanged %v at restart %v",
		names(c.Opened), names(c.Closed), names(c.Changed), names(c.Unchanged), c.AtRestart)
}

// TestReloadSwapsSettings: a tunnel that keeps its address keeps its socket and its
// connections. New settings apply to new connections.
func TestReloadSwapsSettings(t *testing.T) {
	one, two := greeter(t, "one"), greeter(t, "two")
	s := startService(t, serverTunnel("a", "127.0.0.1:0", one, ""))
	at := s.Addr("a").String()
	old := speak(s.dial("a", s.tlsConfig()))
	old.expect(t, "one")

	c := s.reload("log.level = 'warn'\n" + serverTunnel("a", "127.0.0.1:0", two, ""))
	if got, want := tunnelsOf(c), "opened [] closed [] changed [a] unchanged [] at restart [log]"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := s.Addr("a").String(); got != at {
		t.Errorf("the tunnel moved from %s to %s", at, got)
	}
	old.echo(t, "still here")
	speak(s.dial("a", s.tlsConfig())).expect(t, "two")
	if got := s.Status().Tunnels[0].Active; got != 2 {
		t.Errorf("%d connections are active, want 2", got)
	}
}

// TestReloadRefused: if anything is wrong, a reload changes nothing.
func TestReloadRefused(t *testing.T) {
	taken := testkit.Listen(t)
	free := freePort(t)
	good := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "")
	s := startService(t, good)
	cache := s.tlsConfig()
	cache.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	dir := filepath.Dir(s.file)
	check(t, os.WriteFile(filepath.Join(dir, "empty.crt"), nil, 0o600))

	old := speak(s.dial("a", cache))
	old.expect(t, "one")
	tests := []struct{ name, text, want string }{
		{"syntax", good + "[[tunnel", "config.toml:"},
		{"unknown key", good + "lisen = ':1'", `unknown key "lisen"`},
		{"no tunnel", "watch = true\n", "has no tunnel any more: is the file complete?"},
		{"missing file", good + "cert = 'none.crt'\nkey = 'none.key'", "none.crt"},
		{"empty CA", strings.Replace(good, "mode", "client_auth = 'require'\nclient_ca = 'empty.crt'\nmode", 1), "empty.crt"},
		{"port taken", serverTunnel("new", free, "127.0.0.1:1", "") + serverTunnel("b", taken.Addr().String(), "127.0.0.1:1", "") + good,
			"another program has this port"},
		{"no such address", good + serverTunnel("b", "192.0.2.1:1", "127.0.0.1:1", ""), "this machine has no such address"},
		{"PKI elsewhere", "", "nowhere"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s.write(tt.text)
			if tt.text == "" {
				check(t, replaceFile(s.file, "pki.dir = 'nowhere'\n"+good))
			}
			for _, dryRun := range []bool{true, false} {
				c, err := s.Reload(t.Context(), dryRun)
				switch {
				case dryRun && (tt.name == "port taken" || tt.name == "no such address"): // it opens none
				case err == nil || !strings.Contains(err.Error(), tt.want):
					t.Errorf("dry run %v: got %v, want %q", dryRun, err, tt.want)
				case tunnelsOf(c) != "opened [] closed [] changed [] unchanged [] at restart []":
					t.Errorf("got changes %s with the error", tunnelsOf(c))
				}
			}
			if got := len(s.Status().Tunnels); got != 1 {
				t.Errorf("there are %d tunnels", got)
			}
			if s.answers(free) {
				t.Error("a new port is open")
			}
			old.echo(t, tt.name)
			c := s.dial("a", cache)
			speak(c).expect(t, "one")
			if !c.ConnectionState().DidResume {
				t.Error("the tunnel has forgotten its tickets")
			}
		})
	}
}

// TestReloadRemoved: a tunnel that a reload removes accepts no new connection. Those that it
// has may end by themselves.
func TestReloadRemoved(t *testing.T) {
	target := greeter(t, "one")
	a, b := serverTunnel("a", "127.0.0.1:0", target, ""), serverTunnel("b", "127.0.0.1:0", target, "")
	s := startService(t, a+b)
	gone, stays := s.Addr("a").String(), s.Addr("b").String()
	old := speak(s.dial("a", s.tlsConfig()))
	old.expect(t, "one")

	if got, want := tunnelsOf(s.reload(b)), "opened [] closed [a] changed [] unchanged [b] at restart []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s.Addr("a") != nil || s.Addr("b").String() != stays {
		t.Errorf("a is at %v, b at %v", s.Addr("a"), s.Addr("b"))
	}
	old.echo(t, "still here")
	if s.answers(gone) {
		t.Error("the port of a tunnel that is gone is open")
	}
	old.Close()
	s.log.Await(t, `msg="tunnel stopped" tunnel=a completed=1`)
}

// TestReloadCutsAtLast: a removed tunnel doesn't keep its connections for ever.
func TestReloadCutsAtLast(t *testing.T) {
	target := greeter(t, "one")
	b := "shutdown_grace = '20ms'\n" + serverTunnel("b", "127.0.0.1:0", target, "")
	s := startService(t, b+serverTunnel("a", "127.0.0.1:0", target, ""))
	old := speak(s.dial("a", s.tlsConfig()))
	old.expect(t, "one")
	s.reload(b)
	s.log.Await(t, `msg="tunnel stopped" tunnel=a completed=0 interrupted=1`)
	if _, err := old.lines.ReadString('\n'); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is open: %v", err)
	}
}

// TestReloadRenamed: if a tunnel gets a new name, its socket stays open.
func TestReloadRenamed(t *testing.T) {
	target, at := greeter(t, "one"), freePort(t)
	s := startService(t, serverTunnel("a", at, target, ""))
	old := speak(s.dial("a", s.tlsConfig()))
	old.expect(t, "one")
	if got, want := tunnelsOf(s.reload(serverTunnel("b", at, target, ""))), "opened [] closed [] changed [b] unchanged [] at restart []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s.Addr("a") != nil || s.Addr("b").String() != at {
		t.Errorf("a is at %v, b at %v", s.Addr("a"), s.Addr("b"))
	}
	old.echo(t, "still here")
	speak(s.dial("b", s.tlsConfig())).expect(t, "one")
}

// TestReloadSamePortElsewhere: the new socket can't open before the old one has closed, so
// the reload is refused.
func TestReloadSamePortElsewhere(t *testing.T) {
	at := freePort(t)
	_, port, _ := net.SplitHostPort(at)
	s := startService(t, serverTunnel("a", at, "127.0.0.1:1", ""))
	s.write(serverTunnel("a", ":"+port, "127.0.0.1:1", ""))
	_, err := s.Reload(t.Context(), false)
	if err == nil || !strings.Contains(err.Error(), `tunnel "a" has this port now`) || !strings.Contains(err.Error(), "a restart can") {
		t.Errorf("got %v", err)
	}
	if got := s.Addr("a").String(); got != at {
		t.Errorf("the tunnel is at %s", got)
	}
}

// TestReloadDryRun says what would change, and changes nothing.
func TestReloadDryRun(t *testing.T) {
	one := greeter(t, "one")
	a, b := serverTunnel("a", "127.0.0.1:0", one, ""), serverTunnel("b", "127.0.0.1:0", one, "")
	s := startService(t, a+b)
	s.write(serverTunnel("a", "127.0.0.1:0", greeter(t, "two"), "") + serverTunnel("c", "127.0.0.1:0", one, ""))
	c, err := s.Reload(t.Context(), true)
	check(t, err)
	if got, want := tunnelsOf(c), "opened [c] closed [b] changed [a] unchanged [] at restart []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s.Addr("b") == nil || s.Addr("c") != nil {
		t.Error("a dry run opened or closed a tunnel")
	}
	speak(s.dial("a", s.tlsConfig())).expect(t, "one")
}

// TestReloadTrust: a session can't be resumed once client_ca has changed, and can be if
// nothing has changed.
func TestReloadTrust(t *testing.T) {
	target := greeter(t, "one")
	withCA := func(ca string) string {
		return serverTunnel("a", "127.0.0.1:0", target, "client_auth = 'require'\nclient_ca = '"+ca+"'")
	}
	s := startService(t, withCA("own"))
	other := startService(t, "") // another CA
	otherCA := filepath.Join(filepath.Dir(other.file), "pki", "ca.crt")

	cfg := s.tlsConfig()
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumes := func() bool {
		t.Helper()
		c := s.dial("a", cfg)
		speak(c).expect(t, "one")
		return c.ConnectionState().DidResume
	}
	resumes()
	if !resumes() {
		t.Fatal("sessions don't resume at all")
	}
	if got := tunnelsOf(s.reload(withCA("own"))); got != "opened [] closed [] changed [] unchanged [a] at restart []" {
		t.Errorf("got %s", got)
	}
	if !resumes() {
		t.Error("a reload without changes ended resumption")
	}

	// Peers of the CA that is no longer trusted can't get in, whatever tickets they have. A
	// TLS 1.3 client learns that at its first read.
	s.reload(withCA(otherCA))
	c, err := s.tryDial("a", cfg)
	if err == nil {
		_, err = speak(c).lines.ReadString('\n')
	}
	if err == nil {
		t.Error("a session was resumed past the change of client_ca")
	}

	s.reload(withCA("own"))
	if resumes() {
		t.Error("an old ticket was accepted after the CA had changed twice")
	}
}

// TestReloadReplacedCertificate: a reload compares the content of files, not only the config.
func TestReloadReplacedCertificate(t *testing.T) {
	s := startService(t, serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "cert = 'my.crt'\nkey = 'my.key'"+`
		[[tunnel]]
		name = "filler"
		mode = "client"
		listen = "127.0.0.1:0"
		target = "server.example:1"
	`), func(dir string) { copyPair(t, dir, startService(t, "").pkiDir()) })
	before := s.dial("a", &tls.Config{InsecureSkipVerify: true}).ConnectionState().PeerCertificates[0]
	copyPair(t, filepath.Dir(s.file), startService(t, "").pkiDir())
	c, err := s.Reload(t.Context(), false)
	check(t, err)
	if got := tunnelsOf(c); got != "opened [] closed [] changed [a] unchanged [filler] at restart []" {
		t.Errorf("got %s", got)
	}
	after := s.dial("a", &tls.Config{InsecureSkipVerify: true}).ConnectionState().PeerCertificates[0]
	if before.Equal(after) {
		t.Error("the old certificate is still shown")
	}
}

// talk connects to a client tunnel and reads its greeter's line.
func (s *subject) talk(tunnel string) error {
	s.t.Helper()
	c, err := net.Dial("tcp", s.Addr(tunnel).String())
	if err != nil {
		return err // a reset can be as fast as this
	}
	defer c.Close()
	check(s.t, c.SetDeadline(time.Now().Add(waitTime)))
	got, err := speak(c).lines.ReadString('\n')
	if err == nil && got != "one\n" {
		s.t.Errorf("got %q", got)
	}
	return err
}

// TestReloadClientTrust: a client tunnel forgets its sessions when its CAs
// change.
func TestReloadClientTrust(t *testing.T) {
	server := startService(t, serverTunnel("s", "127.0.0.1:0", greeter(t, "one"), ""))
	ca := filepath.Join(server.pkiDir(), "ca.crt")
	text := func(cas string) string {
		return fmt.Sprintf("[[tunnel]]\nname = 'c'\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = %q\nca = %s\n", server.Addr("s"), cas)
	}
	quoted := fmt.Sprintf("%q", ca)
	s := startService(t, text(quoted))
	talk := func() error { return s.talk("c") }
	check(t, talk())
	s.log.Await(t, "resumed=false")
	check(t, talk())
	s.log.Await(t, "resumed=true")

	s.reload(text("'own'"))
	if err := talk(); err == nil {
		t.Error("a session was resumed past the change of ca")
	}
	s.log.Await(t, `msg="target failed" tunnel=c`)
}

// TestReloadMany: memory, goroutines and files stay as they are.
func TestReloadMany(t *testing.T) {
	reloads := 1000
	if testing.Short() {
		reloads = 100
	}
	target := greeter(t, "one")
	a := serverTunnel("a", "127.0.0.1:0", target, "client_auth = 'require'")
	b := serverTunnel("b", "127.0.0.1:0", target, "")
	s := startService(t, a)
	live := speak(s.dial("a", s.tlsConfig()))
	live.expect(t, "one")
	texts := []string{a + b, strings.Replace(a, "[[tunnel]]", "[[tunnel]]\nconnect_timeout = '9s'", 1)}
	some := func(n int) {
		for i := range n {
			s.reload(texts[i%2])
		}
		s.draining.Wait()
	}
	some(reloads / 10) // what grows only once has grown after this
	before := measure(t)
	some(reloads)
	after := measure(t)
	if after.goroutines > before.goroutines || after.files > before.files || after.heap > before.heap+1<<20 {
		t.Errorf("%d reloads: before %+v, after %+v", reloads, before, after)
	}
	live.echo(t, "still here")
}

// TestReloadAtOnce: reloads and status requests at the same time.
func TestReloadAtOnce(t *testing.T) {
	target := greeter(t, "one")
	texts := []string{serverTunnel("a", "127.0.0.1:0", target, ""), serverTunnel("a", "127.0.0.1:0", target, "") + serverTunnel("b", "127.0.0.1:0", target, ""), "wrong = 1"}
	s := startService(t, texts[0])
	live := speak(s.dial("a", s.tlsConfig()))
	live.expect(t, "one")
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 20 {
				_, err := s.reloadLogged(t.Context(), "test")
				if st := s.Status(); len(st.Tunnels) < 1 || st.LastReload == nil {
					t.Errorf("got status %+v after %v", st, err)
				}
				_, _ = s.Reload(t.Context(), i%2 == 0)
			}
		})
	}
	for i := range 60 {
		s.write(texts[i%3])
	}
	all.Wait()
	s.reload(texts[1])
	if got := len(s.Status().Tunnels); got != 2 {
		t.Errorf("there are %d tunnels, want 2", got)
	}
	live.echo(t, "still here")
}

// TestReloadDuringStop: a service that is stopping opens no socket any more.
func TestReloadDuringStop(t *testing.T) {
	at := freePort(t)
	a := "shutdown_grace = '1h'\n" + serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "")
	s := startService(t, a)
	live := speak(s.dial("a", s.tlsConfig()))
	live.expect(t, "one")
	s.write(a + serverTunnel("b", at, "127.0.0.1:1", ""))
	var stopping sync.WaitGroup
	stopping.Go(s.Stop)
	s.log.Await(t, "msg=stopping")
	reloaded := make(chan error, 1)
	go func() {
		_, err := s.Reload(t.Context(), false)
		reloaded <- err
	}()
	live.echo(t, "still here")
	live.Close()
	if err := <-reloaded; !errors.Is(err, errStopping) {
		t.Errorf("got %v", err)
	}
	stopping.Wait()
	if s.answers(at) {
		t.Error("a service that stops has opened a port")
	}
}

// pkiDir is the folder of the service's own PKI.
func (s *subject) pkiDir() string { return filepath.Join(filepath.Dir(s.file), "pki") }

// copyPair copies the server certificate of a PKI to my.crt and my.key in dir.
func copyPair(t *testing.T, dir, pkiDir string) {
	t.Helper()
	for from, to := range map[string]string{"server.crt": "my.crt", "server.key": "my.key"} {
		data, err := os.ReadFile(filepath.Join(pkiDir, from))
		check(t, err)
		check(t, replaceFile(filepath.Join(dir, to), string(data)))
	}
}

// A change that needs a restart stays pending until there is one, however many reloads come
// before it.
func TestLogChangeWaitsForRestart(t *testing.T) {
	tunnel := serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", "")
	cfg := load(t, tunnel)
	check(t, os.WriteFile(cfg.File, []byte("pki.dir = 'pki'\n"+tunnel), 0o600))
	s, err := Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	check(t, err)
	defer s.Stop()
	check(t, os.WriteFile(cfg.File, []byte("pki.dir = 'pki'\nlog.max_size = '2MB'\n"+tunnel), 0o600))
	for range 2 {
		changes, err := s.Reload(t.Context(), false)
		check(t, err)
		if !slices.Equal(changes.AtRestart, []string{"log"}) {
			t.Errorf("got %+v", changes)
		}
	}
}

// TestLogLevel: a reload changes the level, also for loggers made before.
func TestLogLevel(t *testing.T) {
	tunnel := serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", "")
	cfg := load(t, tunnel)
	write := func(level string) {
		check(t, os.WriteFile(cfg.File, []byte("pki.dir = 'pki'\nlog.file = '-'\nlog.level = '"+level+"'\n"+tunnel), 0o600))
	}
	control, console := new(logging.Control), new(testkit.Log)
	cfg.Log.File = "-"
	log, closeLog := logging.Open(cfg.Log, control, console, false, nil)
	ofTunnel := log.With("tunnel", "a")
	s, err := Start(t.Context(), cfg, log)
	check(t, err)
	defer s.Stop()
	s.logControl = control
	for _, step := range []struct{ level, changed string }{{"debug", "debug"}, {"debug", ""}, {"error", "error"}, {"info", "info"}} {
		write(step.level)
		changes, err := s.Reload(t.Context(), false)
		check(t, err)
		if changes.LogLevel != step.changed || len(changes.AtRestart) > 0 {
			t.Errorf("%s: got %+v", step.level, changes)
		}
		ofTunnel.Debug("a detail of " + step.level)
		ofTunnel.Info("news of " + step.level)
	}
	closeLog()
	got := console.String()
	for line, want := range map[string]bool{"a detail of debug": true, "news of debug": true, "news of error": false, "a detail of info": false, "news of info": true} {
		if strings.Contains(got, line) != want {
			t.Errorf("%q is logged: %v", line, !want)
		}
	}
}

// TestPins: a client tunnel without a CA knows its server by a key, and the server knows the
// client by a key.
func TestPins(t *testing.T) {
	server := startService(t, "")
	pin := func(cert *x509.Certificate) string {
		sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
		return fmt.Sprintf("sha256:%x", sum)
	}
	store, err := pki.Open(server.pkiDir(), time.Now())
	check(t, err)
	leaf, ca := pin(store.Server.Leaf), pin(store.CA)
	var s *subject
	text := func(keys string) string {
		return fmt.Sprintf("[[tunnel]]\nname = 'c'\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = %q\n%s\n", server.Addr("s"), keys)
	}
	// The client's CA must exist before the server can trust it.
	s = startService(t, "[[tunnel]]\nname = 'c'\nmode = 'client'\nlisten = '127.0.0.1:0'\ntarget = '127.0.0.1:1'\ncert = 'own'\n")
	server.reload(serverTunnel("s", "127.0.0.1:0", greeter(t, "one"),
		fmt.Sprintf("client_auth = 'require'\nclient_ca = %q", filepath.Join(s.pkiDir(), "ca.crt"))))

	serverCA := fmt.Sprintf("ca = %q\n", filepath.Join(server.pkiDir(), "ca.crt"))
	for _, tt := range []struct {
		keys string
		good bool
	}{
		{"pins = '" + leaf + "'", true},
		{"pins = ['" + ca + "', '" + leaf + "']\nserver_name = 'nobody.example'", true},
		{"pins = '" + ca + "'", false},
		{serverCA + "pins = '" + ca + "'", true},
		{serverCA + "pins = '" + leaf + "'", true},
		{serverCA + "pins = '" + leaf + "'\nserver_name = 'nobody.example'", false},
		{serverCA + "pins = 'sha256:" + strings.Repeat("00", 32) + "'", false},
		{"ca = 'own'\npins = '" + leaf + "'", false},
	} {
		s.reload(text("cert = 'own'\n" + tt.keys))
		if err := s.talk("c"); (err == nil) != tt.good {
			t.Errorf("%s: %v", tt.keys, err)
		}
	}
	server.log.Await(t, "identity=\"CN=")

	// Sessions end if the pin that they were made under is removed.
	s.reload(text("cert = 'own'\npins = '" + leaf + "'"))
	check(t, s.talk("c"))
	check(t, s.talk("c"))
	s.log.Await(t, "resumed=true")
	s.reload(text("cert = 'own'\npins = '" + ca + "'"))
	if err := s.talk("c"); err == nil {
		t.Error("a session was resumed past the change of pins")
	}
	s.log.Await(t, "which isn't pinned")

	// Without a certificate it doesn't get in.
	s.reload(text("pins = '" + leaf + "'"))
	if err := s.talk("c"); err == nil {
		t.Error("the server took a client without a certificate")
	}
}
