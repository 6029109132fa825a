//go:build linux

package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tunnel is a tlstunnel process with one tunnel.
type tunnel struct {
	*program
	dir   string // of its config
	addr  string // where it listens
	taken int    // connections that the test has accounted for

	killed bool // by the test
}

// record is a line of tlstunnel's log. Each line sets only some of the fields.
type record struct {
	Level    string
	Msg      string
	Tunnel   string
	Listen   string
	Identity string
	TLS      string
	Resumed  bool
	ToTarget int64  `json:"to_target"`
	ToPeer   int64  `json:"to_peer"`
	EndedBy  string `json:"ended_by"`
	Reason   string
	Err      string
	Skipped  int // connections like this one, which have no line

	// At the stop, the counts of how connections ended.
	Completed       int
	Interrupted     int
	Refused         int
	HandshakeFailed int `json:"handshake_failed"`
	TargetFailed    int `json:"target_failed"`
}

// Log messages of a connection. Each connection has one of them.
const (
	closed          = "connection closed"
	interrupted     = "connection interrupted"
	refused         = "connection refused"
	handshakeFailed = "handshake failed"
	targetFailed    = "target failed"
)

// startTunnel starts tlstunnel with one tunnel, which has the keys in lines. At the end of
// the test tlstunnel must stop without a complaint. It must have logged one line for each
// connection that the test knows of.
func startTunnel(t *testing.T, lines ...string) *tunnel {
	t.Helper()
	dir := t.TempDir()
	config := writeFile(t, dir, "config.toml", `
[log]
level = "debug" # every connection, even those that nobody needs to hear of
format = "json"
file = "-"

[pki]
dir = "pki"
names = ["pacs.clinic.example", "192.0.2.7"]

[[tunnel]]
name = "interop"
listen = "127.0.0.1:0"
`+strings.Join(lines, "\n")+"\n")
	cmd := exec.Command(executable(t), "run", "--config", config)
	cmd.Env = append(os.Environ(), asTlstunnel+"=1",
		// Otherwise a program built with -race waits a second at its end.
		"GORACE="+os.Getenv("GORACE")+" atexit_sleep_ms=0")
	tun := &tunnel{program: start(t, cmd), dir: dir}
	tun.name = "tlstunnel"
	t.Cleanup(func() { tun.finish(t) })
	tun.waitUntil(t, "line that says where it listens", func(string) bool {
		for _, r := range tun.records() {
			if r.Msg == "listening" && r.Tunnel == "interop" {
				tun.addr = r.Listen
			}
		}
		return tun.addr != ""
	})
	return tun
}

// startServer starts a tunnel that speaks TLS with its peers.
func startServer(t *testing.T, target string, lines ...string) *tunnel {
	t.Helper()
	return startTunnel(t, append(lines, `mode = "server"`, fmt.Sprintf("target = %q", target))...)
}

// startClient starts a tunnel that speaks TLS with its target, whose certificate
// must come from the CA in the file ca.
func startClient(t *testing.T, target, ca string, lines ...string) *tunnel {
	t.Helper()
	return startTunnel(t, append(lines, `mode = "client"`, fmt.Sprintf("target = %q", target), fmt.Sprintf("ca = [%q]", ca))...)
}

// startPair starts a server tunnel before target, and a client tunnel before the server
// tunnel, with the PKI of a first run.
func startPair(t *testing.T, target string) pair {
	t.Helper()
	server := startServer(t, target)
	return pair{startClient(t, server.addr, server.ca()), server}
}

// pair is a client tunnel whose target is a server tunnel.
type pair struct{ client, server *tunnel }

// wantClosed checks that the next connection has gone through both tunnels to
// its end, and returns both lines.
func (p pair) wantClosed(t *testing.T) (client, server record) {
	t.Helper()
	client, server = p.client.wantClosed(t), p.server.wantClosed(t)
	if client.ToTarget != server.ToTarget || client.ToPeer != server.ToPeer {
		t.Errorf("the two tunnels count differently: %d and %d bytes to the target, %d and %d back",
			client.ToTarget, server.ToTarget, client.ToPeer, server.ToPeer)
	}
	return client, server
}

func executable(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return self
}

// ca is the CA certificate that tlstunnel made for itself.
func (tun *tunnel) ca() string { return tun.pki("ca.crt") }

func (tun *tunnel) pki(name string) string { return filepath.Join(tun.dir, "pki", name) }

// records are the complete lines of the log so far.
func (tun *tunnel) records() []record {
	var all []record
	for line := range strings.Lines(tun.output.String()) {
		var r record
		if strings.HasSuffix(line, "\n") && json.Unmarshal([]byte(line), &r) == nil {
			all = append(all, r)
		}
	}
	return all
}

// connections are the lines of connections that have ended so far.
func (tun *tunnel) connections() []record {
	var all []record
	for _, r := range tun.records() {
		switch r.Msg {
		case closed, interrupted, refused, handshakeFailed, targetFailed:
			if r.EndedBy != "" { // otherwise it is a summary of connections without a line
				all = append(all, r)
			}
		}
	}
	return all
}

// connection waits for the line of the next connection to end.
func (tun *tunnel) connection(t *testing.T) record {
	t.Helper()
	var all []record
	tun.waitUntil(t, "line of a connection", func(string) bool {
		all = tun.connections()
		return len(all) > tun.taken
	})
	tun.taken++
	return all[tun.taken-1]
}

// wantClosed checks that the next connection was relayed to its end.
func (tun *tunnel) wantClosed(t *testing.T) record {
	t.Helper()
	r := tun.connection(t)
	if r.Msg != closed || r.Level != "INFO" || !strings.HasPrefix(r.TLS, "TLS 1.") {
		t.Errorf("log of the connection: got %+v, want %q at level INFO and its TLS version", r, closed)
	}
	return r
}

// wantFailed checks that the next connection failed as msg says, for a reason
// that has each of the texts in it.
func (tun *tunnel) wantFailed(t *testing.T, msg string, reason ...string) record {
	t.Helper()
	r := tun.connection(t)
	if r.Msg != msg {
		t.Errorf("log of the connection: got %+v, want %q", r, msg)
	}
	for _, text := range reason {
		if !strings.Contains(r.Reason, text) {
			t.Errorf("reason in the log: got %q, want it to have %q", r.Reason, text)
		}
	}
	if r.ToTarget != 0 || r.ToPeer != 0 {
		t.Errorf("a connection that failed moved bytes: %+v", r)
	}
	return r
}

// kill sends SIGKILL.
func (tun *tunnel) kill(t *testing.T) {
	t.Helper()
	tun.killed = true
	if err := tun.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
}

// finish stops tlstunnel and checks what is left in the log.
func (tun *tunnel) finish(t *testing.T) {
	t.Helper()
	if tun.killed {
		return
	}
	select {
	case <-tun.exited:
		t.Errorf("tlstunnel ended by itself: %v", tun.err)
		return
	default:
	}
	if err := tun.stop(syscall.SIGTERM); err != nil {
		t.Errorf("stopping tlstunnel: got %v, want exit code 0", err)
	}
	all := tun.connections()
	if len(all) != tun.taken && !t.Failed() {
		t.Errorf("the log has %d lines of connections, want %d", len(all), tun.taken)
	}
	last, skipped := record{}, 0
	for _, r := range tun.records() {
		skipped += r.Skipped
		if r.Msg == "tunnel stopped" {
			last = r
		}
	}
	count := last.Completed + last.Interrupted + last.Refused + last.HandshakeFailed + last.TargetFailed
	if count != len(all)+skipped {
		t.Errorf("tlstunnel counted %d connections, logged %d and skipped %d", count, len(all), skipped)
	}
}
