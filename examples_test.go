package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tlstunnel/internal/cli"
	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
	"tlstunnel/service"
)

// TestExampleConfigs runs the two configs of each example against each other, with bytes in
// both directions. It changes only what belongs to a machine: addresses, ports, and the
// folders.
func TestExampleConfigs(t *testing.T) {
	folders, err := filepath.Glob("examples/*/server.toml")
	if err != nil || len(folders) < 8 {
		t.Fatalf("got %d examples and %v, want at least 8", len(folders), err)
	}
	for _, file := range folders {
		folder := filepath.Dir(file)
		t.Run(filepath.Base(folder), func(t *testing.T) {
			t.Parallel()
			runExample(t, readFile(t, file), readFile(t, filepath.Join(folder, "client.toml")))
		})
	}
}

// TestFirstTunnel runs the configs of the README against each other.
func TestFirstTunnel(t *testing.T) {
	blocks := tomlBlocks(readFile(t, "README.md"))
	if len(blocks) != 2 {
		t.Fatalf("got %d pieces of config, want 2", len(blocks))
	}
	runExample(t, blocks[0], blocks[1])
}

func runExample(t *testing.T, serverText, clientText string) {
	echo := testkit.Serve(t, testkit.Listen(t), testkit.Echo)
	dir := t.TempDir()

	server := loadExample(t, dir, "server.toml", serverText)
	client := loadExample(t, dir, "client.toml", clientText)
	host, _, err := net.SplitHostPort(client.Tunnels[0].Target[0])
	if err != nil {
		t.Fatal(err)
	}
	server.Tunnels[0].Target = []string{echo}
	makeFiles(t, dir, host)

	client.Tunnels[0].Target = []string{startExample(t, server)}
	client.Tunnels[0].ServerName = host
	if len(client.Tunnels[0].CA) == 0 { // the public CA of this test
		client.Tunnels[0].CA = []string{filepath.Join(dir, "ca.crt")}
	}
	front := startExample(t, client)

	c, err := net.Dial("tcp", front)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	sent := make([]byte, 64<<10)
	rand.Read(sent)
	go func() {
		_, _ = c.Write(sent)
		_ = c.(*net.TCPConn).CloseWrite()
	}()
	got, err := io.ReadAll(c)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("got %d bytes and %v back, want the %d that were sent", len(got), err, len(sent))
	}
}

func readFile(t *testing.T, file string) string { return string(testkit.ReadFile(t, file)) }

// loadExample writes the config to dir, where its files are, and loads it.
func loadExample(t *testing.T, dir, name, text string) *config.Config {
	t.Helper()
	// Each machine has a PKI of its own. The server's certificate has the names of its
	// machine.
	text = fmt.Sprintf("log.file = \"-\"\npki = { dir = %q, names = [%q] }\n%s", name+".pki", "server.example", text)
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems, err := config.Load(file)
	if err == nil {
		err = problems.Err()
	}
	if err != nil {
		t.Fatal(err)
	}
	cfg.Tunnels[0].Listen = "127.0.0.1:0"
	return cfg
}

// makeFiles makes the files that the configs name, with the commands that the configs name.
// The server's own CA stands for the public CA.
func makeFiles(t *testing.T, dir, host string) {
	t.Helper()
	config := filepath.Join(dir, "server.toml")
	for _, args := range [][]string{
		{"init"},
		{"ca", "export", "--out", dir},
		{"cert", "issue", "modality-3", "--client", "--out", dir},
		{"cert", "issue", host, "--server", "--out", dir},
	} {
		var complaints bytes.Buffer
		if code := cli.Main(append([]string{"--config", config}, args...), exampleConfig, io.Discard, &complaints); code != 0 {
			t.Fatalf("%v: exit code %d: %s", args, code, &complaints)
		}
	}
	for from, to := range map[string]string{host + ".crt": "fullchain.pem", host + ".key": "privkey.pem"} {
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
}

// startExample runs cfg until the end of the test and returns where its tunnel
// listens.
func startExample(t *testing.T, cfg *config.Config) string {
	t.Helper()
	s, err := service.Start(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s.Addr(cfg.Tunnels[0].Name).String()
}
