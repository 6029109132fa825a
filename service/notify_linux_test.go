package service

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/testkit"
)

// manager stands for systemd: a socket for the service's messages.
type manager struct {
	t    *testing.T
	conn *net.UnixConn
}

func newManager(t *testing.T) manager {
	t.Helper()
	dir := testkit.ShortTempDir(t)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "notify"), Net: "unixgram"})
	check(t, err)
	t.Cleanup(func() { conn.Close() })
	t.Setenv("NOTIFY_SOCKET", filepath.Join(dir, "notify"))
	t.Setenv("RUNTIME_DIRECTORY", dir)
	return manager{t, conn}
}

// next is the next message, as lines.
func (m manager) next() []string {
	m.t.Helper()
	check(m.t, m.conn.SetReadDeadline(time.Now().Add(waitTime)))
	buf := make([]byte, 4096)
	n, err := m.conn.Read(buf)
	check(m.t, err)
	return strings.Split(strings.TrimSpace(string(buf[:n])), "\n")
}

// runService runs a service on the config text until stop.
func runService(t *testing.T, text string) (cfg *config.Config, stop func() error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.toml")
	check(t, replaceFile(file, "pki.dir = 'pki'\n"+text))
	cfg, problems, err := config.Load(file)
	check(t, err)
	check(t, problems.Err())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, slog.New(slog.DiscardHandler), Host{}) }()
	return cfg, func() error {
		cancel()
		return <-ended
	}
}

// TestNotify: systemd hears of each change of the state.
func TestNotify(t *testing.T) {
	m := newManager(t)
	cfg, stop := runService(t, serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", ""))
	ready := m.next()
	if len(ready) != 2 || ready[0] != "READY=1" || !strings.HasPrefix(ready[1], "STATUS=tunnels: 1, first certificate expires on 2") {
		t.Errorf("got %q", ready)
	}
	check(t, replaceFile(cfg.File, "pki.dir = 'pki'\n"+
		serverTunnel("a", "127.0.0.1:0", "127.0.0.1:1", "")+serverTunnel("b", "127.0.0.1:0", "127.0.0.1:1", "")))
	check(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	reloading := m.next()
	if len(reloading) != 2 || reloading[0] != "RELOADING=1" {
		t.Fatalf("got %q", reloading)
	}
	usec, ok := strings.CutPrefix(reloading[1], "MONOTONIC_USEC=")
	if n, err := strconv.ParseInt(usec, 10, 64); !ok || err != nil || n <= 0 {
		t.Errorf("got %q", reloading)
	}
	if ready := m.next(); len(ready) != 2 || ready[0] != "READY=1" || !strings.HasPrefix(ready[1], "STATUS=tunnels: 2, ") {
		t.Errorf("got %q", ready)
	}

	// systemd also hears when a reload was refused.
	check(t, replaceFile(cfg.File, "wrong = 1"))
	if _, err := AskReload(t.Context(), cfg.File, false); err == nil {
		t.Error("no error")
	}
	if got := append(m.next()[:1], m.next()[0]); fmt.Sprint(got) != "[RELOADING=1 READY=1]" {
		t.Errorf("got %q", got)
	}
	// A dry run tells systemd nothing.
	_, _ = AskReload(t.Context(), cfg.File, true)
	check(t, stop())
	if got := m.next(); fmt.Sprint(got) != "[STOPPING=1]" {
		t.Errorf("got %q", got)
	}
}

// TestNotifyWatchdog: the service tells systemd that it is alive, twice as often as systemd
// demands.
func TestNotifyWatchdog(t *testing.T) {
	m := newManager(t)
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	began := time.Now()
	_, stop := runService(t, "")
	m.next() // ready
	for range 4 {
		if got := m.next(); fmt.Sprint(got) != "[WATCHDOG=1]" {
			t.Errorf("got %q", got)
		}
	}
	if took := time.Since(began); took < 150*time.Millisecond {
		t.Errorf("four signs of life within %v", took)
	}
	check(t, stop())
}

// TestNotifyLeftOut: a tunnel that can't listen doesn't keep the service from being ready.
// systemd hears when the tunnel can.
func TestNotifyLeftOut(t *testing.T) {
	m := newManager(t)
	taken := testkit.Listen(t)
	_, stop := runService(t, serverTunnel("a", taken.Addr().String(), "127.0.0.1:1", ""))
	if got := m.next(); len(got) != 2 || got[0] != "READY=1" || !strings.HasPrefix(got[1], "STATUS=tunnels: 1, left out: a") {
		t.Errorf("got %q", got)
	}
	taken.Close()
	for got := m.next(); !strings.HasPrefix(got[1], "STATUS=tunnels: 1, first"); got = m.next() {
	}
	check(t, stop())
}
