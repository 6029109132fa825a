package service

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/testkit"
	"tlstunnel/internal/version"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// load parses a config that lives in a folder of the test's own.
func load(t *testing.T, text string) *config.Config {
	t.Helper()
	cfg, problems := config.Parse(filepath.Join(t.TempDir(), "config.toml"), []byte("pki.dir = 'pki'\n"+text))
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestPair runs a server and a client tunnel in one process, from the first run to the stop.
func TestPair(t *testing.T) {
	testkit.LeakCheck(t)
	server := load(t, fmt.Sprintf(`
		shutdown_grace = "5s"
		[[tunnel]]
		name = "server"
		mode = "server"
		listen = "127.0.0.1:0"
		target = %q
		client_auth = "require"
	`, testkit.Serve(t, testkit.Listen(t), testkit.Echo)))
	log := new(testkit.Log)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	s, err := Start(ctx, server, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	dir := server.PKI.Dir
	ca, err := pki.OpenAuthority(ctx, dir, time.Now())
	check(t, err)
	_, files, err := ca.Issue(pki.Request{Name: "modality-7", Client: true, Validity: time.Hour}, "ecdsa-p256", t.TempDir())
	ca.Close()
	check(t, err)
	client := load(t, fmt.Sprintf(`
		shutdown_grace = "5s"
		[[tunnel]]
		name = "client"
		mode = "client"
		listen = "127.0.0.1:0"
		target = %q
		ca = [%q]
		cert = %q
		key = %q
	`, s.Addr("server"), filepath.Join(dir, "ca.crt"), files[1], files[0]))
	c, err := Start(ctx, client, slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", c.Addr("client").String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	cancel()
	c.Stop()
	s.Stop()
	for _, want := range []string{
		"msg=starting version=" + version.Version,
		`msg="made a new CA or server certificate; keep ca.key safe, and give clients ca.crt"`,
		"msg=listening tunnel=server mode=server listen=127.0.0.1:",
		`msg="connection closed" tunnel=server`,
		"identity=\"CN=",
		`msg="tunnel stopped" tunnel=client completed=1 interrupted=0 refused=0`,
		"msg=stopped",
	} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %q:\n%s", want, log)
		}
	}
}

// TestListenerGone: if a listener is closed from outside, the service ends.
func TestListenerGone(t *testing.T) {
	cfg := load(t, `
		[[tunnel]]
		name = "a"
		mode = "server"
		listen = "127.0.0.1:0"
		target = "127.0.0.1:1"
	`)
	s, err := Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	s.tunnels[0].listener.Close()
	defer s.Stop()
	if err := s.supervise(t.Context(), nil, nil); err == nil || !strings.Contains(err.Error(), "ended by itself") {
		t.Errorf("got %v", err)
	}
}

// TestOwnPKINotNeeded: if a PKI can't be used, only the tunnels that use it don't run.
func TestOwnPKINotNeeded(t *testing.T) {
	const client = `
		[[tunnel]]
		name = "client"
		mode = "client"
		listen = "127.0.0.1:0"
		target = "server.example:2762"
	`
	for _, tt := range []struct {
		name, more string
		usable     bool
	}{
		{"client with the system's roots", "", true},
		{"client with our own CA", `ca = "own"`, false},
		{"client with our own certificate", `cert = "own"`, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cfg := load(t, client+tt.more)
			if err := os.MkdirAll(cfg.PKI.Dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(cfg.PKI.Dir, "ca.crt"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
			problems := compile.Check(cfg, time.Now())
			if len(problems) != 1 || (problems.Err() == nil) != tt.usable {
				t.Errorf("got %v", problems)
			}
			s, err := Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
			check(t, err)
			defer s.Stop()
			if out := s.Status().Tunnels[0].LeftOut; (out == nil) != tt.usable {
				t.Errorf("left out: %+v", out)
			}
		})
	}
}

// TestKeysThatOthersMayRead: the service runs, and warns of them.
func TestKeysThatOthersMayRead(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no such mode")
	}
	cfg := load(t, "")
	if _, _, err := ownpki.Make(t.Context(), cfg); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(cfg.PKI.Dir, "ca.key")
	if err := os.Chmod(key, 0o644); err != nil {
		t.Fatal(err)
	}
	problems := compile.Check(cfg, time.Now())
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Text, key) {
		t.Errorf("got %v", problems)
	}

	dir := t.TempDir()
	own, password := filepath.Join(dir, "own.key"), filepath.Join(dir, "password")
	data, err := os.ReadFile(filepath.Join(cfg.PKI.Dir, "server.key"))
	check(t, err)
	check(t, os.WriteFile(own, data, 0o644))
	check(t, os.WriteFile(password, nil, 0o644))
	check(t, errors.Join(os.Chmod(own, 0o644), os.Chmod(password, 0o644))) // whatever the umask
	text := fmt.Sprintf(`
		[[tunnel]]
		name = "server"
		mode = "server"
		listen = "127.0.0.1:0"
		target = "127.0.0.1:1"
		cert = %q
		key = %q
		key_password_file = %q
	`, filepath.Join(cfg.PKI.Dir, "server.crt"), own, password)
	problems = compile.Check(load(t, text), time.Now())
	if len(problems) != 2 || problems.Err() != nil || !strings.Contains(problems[0].Text, own) || problems[0].Line != 9 || !strings.Contains(problems[1].Text, password) || problems[1].Line != 10 {
		t.Errorf("got %v", problems)
	}
	startService(t, text).log.Await(t, "is open to others, its mode being 0644")

	check(t, os.WriteFile(password, []byte("a2V5"), 0o644))
	problems = compile.Check(load(t, fmt.Sprintf(`
		[[tunnel]]
		name = "server"
		mode = "server"
		listen = "127.0.0.1:0"
		target = "127.0.0.1:1"
		[tunnel.acme]
		domains = ["pacs.clinic.example"]
		eab_kid = "1"
		eab_key_file = %q
	`, password)), time.Now())
	if !slices.ContainsFunc(problems, func(p config.Problem) bool {
		return p.Warning && p.Line == 11 && strings.HasPrefix(p.Text, fmt.Sprintf("the key %q is open to others", password))
	}) {
		t.Errorf("got %v", problems)
	}
}

// TestFalseSigner: the log warns of a chain that peers refuse.
func TestFalseSigner(t *testing.T) {
	cfg := load(t, "")
	store, _, err := ownpki.Make(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	server := &testkit.Cert{Certificate: store.Server.Leaf, Key: store.Server.PrivateKey.(crypto.Signer)}
	template := &x509.Certificate{DNSNames: []string{"a.example"}, NotAfter: time.Now().AddDate(0, 2, 0)}
	leaf := testkit.Sign(template, server.Key, server).PEM()
	chain, err := os.ReadFile(filepath.Join(store.Dir, "server.crt"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "a.crt")
	if err := os.WriteFile(file, append(leaf, chain...), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Tunnels = []config.Tunnel{{Name: "a", Mode: config.ModeServer, Cert: file, Key: filepath.Join(store.Dir, "server.key")}}
	problems := compile.Check(cfg, time.Now())
	if len(problems) != 1 || !problems[0].Warning || !strings.Contains(problems[0].Text, "which isn't a CA (CA:FALSE)") {
		t.Errorf("got %v", problems)
	}
}

// TestKeyTypes: config and pki accept the same words.
func TestKeyTypes(t *testing.T) {
	for _, word := range pki.KeyTypes() {
		_, problems := config.Parse("c", fmt.Appendf(nil, "pki.key_type = %q", word))
		if err := problems.Err(); err != nil {
			t.Error(err)
		}
	}
}
