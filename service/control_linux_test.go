package service

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestControl asks a running service.
func TestControl(t *testing.T) {
	m := newManager(t)
	a := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "")
	// What is left of one that was killed doesn't matter.
	dir := os.Getenv("RUNTIME_DIRECTORY")
	cfg, stop := runService(t, a)
	m.next()
	socket := controlSocket(cfg.File)
	if info, err := os.Stat(socket); err != nil || info.Mode().Perm() != 0o660 || filepath.Dir(socket) != dir {
		t.Errorf("socket %s: %v, %v", socket, info, err)
	}

	st, err := AskStatus(t.Context(), cfg.File)
	check(t, err)
	if st.PID != os.Getpid() || st.Config != cfg.File || len(st.Tunnels) != 1 || st.Tunnels[0].Expires.IsZero() || st.LastReload != nil {
		t.Errorf("got %+v", st)
	}
	check(t, replaceFile(cfg.File, "pki.dir = 'pki'\n"+a+serverTunnel("b", "127.0.0.1:0", "127.0.0.1:1", "")))
	for _, dryRun := range []bool{true, false} {
		c, err := AskReload(t.Context(), cfg.File, dryRun)
		if want := "opened [b] closed [] changed [] unchanged [a] at restart []"; err != nil || tunnelsOf(c) != want {
			t.Errorf("dry run %v: got %s, %v", dryRun, tunnelsOf(c), err)
		}
	}
	check(t, replaceFile(cfg.File, "wrong = 1"))
	if _, err := AskReload(t.Context(), cfg.File, false); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), `config.toml:1:1: unknown key "wrong"`) {
		t.Errorf("got %v", err)
	}
	if st, err := AskStatus(t.Context(), cfg.File); err != nil || st.LastReload == nil || !strings.Contains(st.LastReload.Error, "wrong") || len(st.Tunnels) != 2 {
		t.Errorf("got %+v, %v", st, err)
	}

	// Another config is another service.
	if _, err := AskStatus(t.Context(), cfg.File+"2"); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	check(t, stop())
	if _, err := AskStatus(t.Context(), cfg.File); !errors.Is(err, ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

// TestControlSocket: one that is left over is replaced, one in use isn't, and
// neither is used in a folder of somebody else's.
func TestControlSocket(t *testing.T) {
	dir := shortTempDir(t)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: controlSocket("/c"), Net: "unix"})
	check(t, err)
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := listenControl("/c")
	check(t, err)
	defer l.Close()
	if _, err := listenControl("/c"); err == nil || !strings.Contains(err.Error(), "another tlstunnel") {
		t.Errorf("got %v", err)
	}
	check(t, os.Chmod(dir, 0o777))
	if _, err := listenControl("/d"); err == nil || !strings.Contains(err.Error(), "nobody else may write in it") {
		t.Errorf("got %v", err)
	}
}
