package service

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestLeftOutHangs: a read that blocks, as on a network drive that hangs, delays neither the
// other tunnels nor a stop. A result that is never received stands for such a read.
func TestLeftOutHangs(t *testing.T) {
	target := greeter(t, "one")
	s := startService(t, serverTunnel("hangs", "127.0.0.1:0", target, "cert = 'their.crt'\nkey = 'their.key'")+
		serverTunnel("late", "127.0.0.1:0", target, "client_auth = 'require'\nclient_ca = 'ca.crt'"))
	dir := filepath.Dir(s.file)
	ca, err := os.ReadFile(filepath.Join(s.pkiDir(), "ca.crt"))
	check(t, err)
	check(t, os.WriteFile(filepath.Join(dir, "ca.crt"), ca, 0o600))
	check(t, os.WriteFile(filepath.Join(dir, "their.crt"), []byte("not PEM"), 0o600))

	s.retryLeftOut(t.Context(), s.nextOfAll())
	late, hangs := <-s.rereads, <-s.rereads
	if late.prepared.Config.Name != "late" {
		late, hangs = hangs, late
	}
	s.finishRetry(t.Context(), late, s.nextOfAll())
	if s.leftOutReason("late") != "" || !strings.Contains(s.leftOutReason("hangs"), "file does not exist") {
		t.Fatalf("got %+v", s.Status().Tunnels)
	}
	c := s.dial("late", s.tlsConfig())
	speak(c).expect(t, "one")
	c.Close()
	s.retryLeftOut(t.Context(), s.nextOfAll())
	if len(s.reading) != 1 {
		t.Errorf("%d attempts are under way, want that one", len(s.reading))
	}
	if wait := s.nextAttempt(s.nextOfAll()); wait == 0 {
		t.Error("the next attempt is due while the last one is under way")
	}

	s.finishRetry(t.Context(), hangs, s.nextOfAll())
	if got := s.leftOutReason("hangs"); strings.Contains(got, "file does not exist") {
		t.Errorf("left out since %q", got)
	}
	s.retryLeftOut(t.Context(), s.nextOfAll()) // the result of this read is never received
	s.Stop()
}
