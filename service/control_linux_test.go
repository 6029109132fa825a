package service

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestControlLate: a service that starts while another with its config is about to
// stop answers afterwards.
func TestControlLate(t *testing.T) {
	defer func(d time.Duration) { controlRetry = d }(controlRetry)
	controlRetry = 10 * time.Millisecond
	m := newManager(t)
	cfg, stop := runService(t, "")
	m.next()
	log := new(logText)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)), Host{}) }()
	log.await(t, `msg="no control channel: status and reload have to do without" err="another tlstunnel with this config answers`)
	check(t, stop())
	for end := time.Now().Add(waitTime); ; {
		_, err := AskStatus(t.Context(), cfg.File)
		if err == nil {
			break
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
		time.Sleep(time.Millisecond)
	}
	cancel()
	check(t, <-ended)
}

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

// TestStaleSockets: a start removes the sockets that nobody listens on, not those in
// use, those made just now, and what isn't a socket of ours.
func TestStaleSockets(t *testing.T) {
	dir := shortTempDir(t)
	t.Setenv("RUNTIME_DIRECTORY", dir)
	hour := time.Now().Add(-time.Hour)
	socket := func(name string, made time.Time, live bool) {
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, name), Net: "unix"})
		check(t, err)
		check(t, os.Chtimes(filepath.Join(dir, name), made, made))
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
	check(t, os.WriteFile(filepath.Join(dir, "control-00000004.sock"), nil, 0o600))
	check(t, os.Chtimes(filepath.Join(dir, "control-00000004.sock"), hour, hour))
	l, err := listenControl("/c")
	check(t, err)
	defer l.Close()
	var got []string
	files, err := os.ReadDir(dir)
	check(t, err)
	for _, file := range files {
		got = append(got, file.Name())
	}
	want := []string{"control-00000002.sock", "control-00000003.sock", "control-00000004.sock", filepath.Base(controlSocket("/c")), "other.sock"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// TestControlForged: whoever has made the folder first, in /tmp say, isn't believed.
func TestControlForged(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	top := t.TempDir()
	check(t, os.Chmod(top, 0o777|os.ModeSticky)) // as /tmp
	dir := filepath.Join(top, "tlstunnel-0")
	t.Setenv("RUNTIME_DIRECTORY", dir)
	file := filepath.Join(t.TempDir(), "config.toml")
	if _, err := AskStatus(t.Context(), file); !errors.Is(err, ErrNotRunning) {
		t.Errorf("no folder: %v", err)
	}
	check(t, os.Mkdir(dir, 0o700))
	l, err := net.Listen("unix", controlSocket(file))
	check(t, err)
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
		check(t, forge())
		for _, err := range []error{
			AskRefresh(t.Context(), file),
			func() error { _, err := AskStatus(t.Context(), file); return err }(),
			func() error { _, err := AskReload(t.Context(), file, true); return err }(),
		} {
			if err == nil || !strings.Contains(err.Error(), "may be anybody") || errors.Is(err, ErrNotRunning) {
				t.Errorf("got %v", err)
			}
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
	// In a folder of root's alone, whoever owns it was given it by root.
	check(t, os.Chmod(top, 0o755))
	_, _ = AskStatus(t.Context(), file)
	<-asked
}

// TestStopCuts: a stop that cuts connections is one that went as asked, for whoever looks
// at the exit code; the peer sees no end of the stream that looks whole.
func TestStopCuts(t *testing.T) {
	m := newManager(t)
	cfg, stop := runService(t, "shutdown_grace = '0s'\n"+serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), ""))
	m.next()
	st, err := AskStatus(t.Context(), cfg.File)
	check(t, err)
	c, err := tls.Dial("tcp", st.Tunnels[0].Listen, &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer c.Close()
	speak(c).expect(t, "one")
	check(t, stop())
	if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("the peer of a connection that was cut got %d bytes, %v", n, err)
	}
}
