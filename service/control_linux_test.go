package service

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/control"
	"tlstunnel/internal/testkit"
)

// TestControlLate: a service starts while another one with the same config is about to stop.
// It answers afterwards.
func TestControlLate(t *testing.T) {
	defer func(d time.Duration) { controlRetry = d }(controlRetry)
	controlRetry = 10 * time.Millisecond
	m := newManager(t)
	cfg, stop := runService(t, "")
	m.next()
	log := new(testkit.Log)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Run(ctx, cfg, slog.New(slog.NewTextHandler(log, nil)), Host{}) }()
	log.Await(t, `msg="the control channel can't be opened: status and reload don't work until it can" err="another tlstunnel with this config answers`)
	check(t, stop())
	testkit.Eventually(t, "an answer to status", func() bool {
		_, err := AskStatus(t.Context(), cfg.File)
		return err == nil
	})
	cancel()
	check(t, <-ended)
}

// TestControl asks a running service.
func TestControl(t *testing.T) {
	m := newManager(t)
	a := serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), "")
	// The socket file that a killed service leaves behind doesn't matter.
	dir := os.Getenv("RUNTIME_DIRECTORY")
	cfg, stop := runService(t, a)
	m.next()
	sockets, err := filepath.Glob(filepath.Join(dir, "control-*.sock"))
	check(t, err)
	if len(sockets) != 1 {
		t.Errorf("sockets in %s: %q", dir, sockets)
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
	if _, err := AskStatus(t.Context(), cfg.File+"2"); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
	check(t, stop())
	if _, err := AskStatus(t.Context(), cfg.File); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("got %v", err)
	}
}

// TestControlWhileDraining: the service answers until the last connection has ended.
func TestControlWhileDraining(t *testing.T) {
	m := newManager(t)
	cfg, stop := runService(t, "shutdown_grace = '1h'\n"+serverTunnel("a", "127.0.0.1:0", greeter(t, "one"), ""))
	m.next()
	st, err := AskStatus(t.Context(), cfg.File)
	check(t, err)
	c, err := tls.Dial("tcp", st.Tunnels[0].Listen, &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer c.Close()
	speak(c).expect(t, "one")
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	for end := time.Now().Add(waitTime); st.State != StateStopping; {
		if st, err = AskStatus(t.Context(), cfg.File); err != nil || time.Now().After(end) {
			t.Fatalf("got %+v, %v", st, err)
		}
	}
	if st.Tunnels[0].Active != 1 {
		t.Errorf("got %+v", st)
	}
	if _, err := AskReload(t.Context(), cfg.File, false); !errors.Is(err, ErrRefused) || err.Error() != errStopping.Error() {
		t.Errorf("a reload: %v", err)
	}
	check(t, c.Close())
	check(t, <-ended)
	if _, err := AskStatus(t.Context(), cfg.File); !errors.Is(err, control.ErrNotRunning) {
		t.Errorf("afterwards: %v", err)
	}
}

// TestStopCuts: a stop that cuts connections went as asked, so the exit code is that of
// success. The peer sees no end of stream that looks complete.
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
