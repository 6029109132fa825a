package control

import (
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestControlSocket: a left-over socket is replaced, and a socket in use isn't. Neither is
// used if it is in a folder of another user.
func TestControlSocket(t *testing.T) {
	dir := testkit.ShortTempDir(t)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: socketPath("/c"), Net: "unix"})
	testkit.Check(t, err)
	stale.SetUnlinkOnClose(false)
	stale.Close()
	l, err := listen("/c")
	testkit.Check(t, err)
	defer l.Close()
	if info, err := os.Stat(socketPath("/c")); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("socket: %v, %v", info, err)
	}
	if _, err := listen("/c"); err == nil || !strings.Contains(err.Error(), "another tlstunnel") {
		t.Errorf("got %v", err)
	}
	testkit.Check(t, os.Chmod(dir, 0o777))
	if _, err := listen("/d"); err == nil || !strings.Contains(err.Error(), "nobody else may write in it") {
		t.Errorf("got %v", err)
	}
}

// TestStaleSockets: a start removes sockets without a listener. It keeps those in use, those
// made just now, and whatever isn't a socket of ours.
func TestStaleSockets(t *testing.T) {
	dir := testkit.ShortTempDir(t)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	hour := time.Now().Add(-time.Hour)
	socket := func(name string, made time.Time, live bool) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		testkit.Check(t, err)
		testkit.Check(t, os.Chtimes(filepath.Join(dir, name), made, made))
		l.SetUnlinkOnClose(false)
		if live {
			t.Cleanup(func() { l.Close() })
		} else {
			l.Close()
		}
	}
	socket("control-00000001.sock", hour, false)
	socket("control-00000002.sock", hour, true)
	socket("control-00000003.sock", time.Now(), false)
	socket("other.sock", hour, false)
	testkit.Check(t, os.WriteFile(filepath.Join(dir, "control-00000004.sock"), nil, 0o600))
	testkit.Check(t, os.Chtimes(filepath.Join(dir, "control-00000004.sock"), hour, hour))
	l, err := listen("/c")
	testkit.Check(t, err)
	defer l.Close()
	var got []string
	files, err := os.ReadDir(dir)
	testkit.Check(t, err)
	for _, file := range files {
		got = append(got, file.Name())
	}
	want := []string{"control-00000002.sock", "control-00000003.sock", "control-00000004.sock", filepath.Base(socketPath("/c")), "other.sock"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestControlForged: another user may make the folder first, for example in /tmp. The program
// doesn't trust it.
func TestControlForged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	top := t.TempDir()
	testkit.Check(t, os.Chmod(top, 0o777|os.ModeSticky)) // as /tmp
	dir := filepath.Join(top, "tlstunnel-0")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	file := filepath.Join(t.TempDir(), "config.toml")
	ask := func() error { return Ask(t.Context(), file, http.MethodGet, "/status", nil, new(any)) }
	if err := ask(); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no folder: %v", err)
	}
	testkit.Check(t, os.Mkdir(dir, 0o700))
	l, err := net.Listen("unix", socketPath(file))
	testkit.Check(t, err)
	defer l.Close()
	asked := make(chan struct{}, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			asked <- struct{}{}
			c.Close()
		}
	}()
	forged := func(forge func() error) {
		t.Helper()
		testkit.Check(t, forge())
		if err := ask(); err == nil || !strings.Contains(err.Error(), "may be anybody") || errors.Is(err, ErrNotRunning) {
			t.Errorf("got %v", err)
		}
		select {
		case <-asked:
			t.Error("a stranger was asked")
		default:
		}
	}
	forged(func() error { return os.Chown(dir, 4711, 4711) })
	forged(func() error { return errors.Join(os.Chown(dir, 0, 0), os.Chmod(dir, 0o770)) })
	forged(func() error {
		real := filepath.Join(top, "real")
		return errors.Join(os.Rename(dir, real), os.Symlink(real, dir), os.Lchown(dir, 4711, 4711))
	})
	// In a folder that only root can change, an owner of a socket got it from root.
	testkit.Check(t, os.Chmod(top, 0o755))
	_ = ask()
	<-asked
}
