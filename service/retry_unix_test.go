//go:build unix

package service

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLeftOutHangs: a read that blocks, as on a network drive that hangs, holds up neither
// the other tunnels nor a stop. A FIFO blocks whoever opens it until somebody writes there.
func TestLeftOutHangs(t *testing.T) {
	target := greeter(t, "one")
	s := startService(t, serverTunnel("hangs", "127.0.0.1:0", target, "cert = 'their.crt'\nkey = 'their.key'")+
		serverTunnel("late", "127.0.0.1:0", target, "client_auth = 'require'\nclient_ca = 'ca.crt'"))
	dir := filepath.Dir(s.file)
	fifo := filepath.Join(dir, "their.crt")
	check(t, syscall.Mkfifo(fifo, 0o600))
	release := func() {
		f, err := os.OpenFile(fifo, os.O_RDWR, 0) // which doesn't block, and lets the reader in
		check(t, err)
		_, err = f.WriteString("not PEM")
		check(t, err)
		check(t, f.Close())
	}
	ca, err := os.ReadFile(filepath.Join(s.pkiDir(), "ca.crt"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))

	s.tryLeftOut(t.Context(), s.nextOfAll())
	s.finishTrial(t.Context(), <-s.trials, s.nextOfAll())
	if s.leftOutReason("late") != "" || !strings.Contains(s.leftOutReason("hangs"), "file does not exist") {
		t.Errorf("got %+v", s.Status().Tunnels)
	}
	speak(s.dial("late", s.tlsConfig())).expect(t, "one")
	s.tryLeftOut(t.Context(), s.nextOfAll())
	if len(s.reading) != 1 {
		t.Errorf("%d attempts are under way, want that one", len(s.reading))
	}
	if wait := s.nextAttempt(s.nextOfAll()); wait == 0 {
		t.Error("the next attempt is due while the last one is under way")
	}

	release()
	s.finishTrial(t.Context(), <-s.trials, s.nextOfAll())
	if got := s.leftOutReason("hangs"); strings.Contains(got, "file does not exist") {
		t.Errorf("left out since %q", got)
	}
	s.tryLeftOut(t.Context(), s.nextOfAll())
	s.Stop()
	release()
}
