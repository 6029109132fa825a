package cli

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tlstunnel/service"
)

// TestStatusACME: a reload is advised only where it helps.
func TestStatusACME(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	for _, tt := range []struct {
		notBefore time.Time
		want      string
	}{
		{time.Time{}, "too many; the CA is asked again at 2026-11-25 14:00:30, or at once by `tlstunnel reload`"},
		{now, "too many; the CA is asked again at 2026-11-25 14:00:30, or at once by `tlstunnel reload`"},
		{now.Add(2 * time.Hour), "too many; the CA is asked again at 2026-11-25 14:00:30, and not before 2026-11-25 14:00:00 by `tlstunnel reload` either, as the CA wants"},
	} {
		var s statusAnswer
		s.Tunnels = []service.TunnelStatus{{Name: "pacs", ACME: &service.ACMEStatus{
			Failure: "too many", Next: now.Add(2*time.Hour + 30*time.Second), NotBefore: tt.notBefore}}}
		s.checkExpiry(now)
		if len(s.Problems) != 1 || !strings.HasSuffix(s.Problems[0], tt.want) {
			t.Errorf("got %q, want %q", s.Problems, tt.want)
		}
	}
}

// TestStatusText has everything in it that a service tells of itself.
func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.Local)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	dir := t.TempDir()
	t.Setenv("RUNTIME_DIRECTORY", dir) // where nobody listens
	s := &statusAnswer{Status: service.Status{
		Config:     "config.toml",
		Memory:     12<<20 + 1,
		LastReload: &service.ReloadResult{Time: now, Error: "config.toml:1:1: unknown key \"a\"\nconfig.toml:2:1: unknown key \"b\""},
		Renewal:    &service.RenewalStatus{Due: day(10), Error: "the disk is full", Retry: now.Add(time.Hour)},
		CA:         &service.CAStatus{Expires: day(100), Next: "AB:CD"},
		Tunnels: []service.TunnelStatus{
			{Name: "expired", Mode: "server", Listen: ":1", Target: []string{"a:1", "b:1"}, Expires: day(-1)},
			{Name: "soon", Mode: "server", Listen: ":2", Target: []string{"a:1"}, Expires: day(3)},
			{Name: "waits", Mode: "server", Listen: ":3", Target: []string{"a:1"}, ACME: new(service.ACMEStatus)},
		},
	}}
	s.byService(t.Context(), filepath.Join(dir, "config.toml"))
	s.checkExpiry(now)
	s.Tunnels = nil // their days are counted from the real time
	var stdout strings.Builder
	if err := (&app{stdout: &stdout}).showStatus(s); err != nil {
		t.Fatal(err)
	}
	want := `state         running
config        config.toml
last reload   2026-11-25 12:00:00, refused
next renewal  2026-12-05 12:00:00
memory        12 MiB
source        the service itself
CA expires    2027-03-05 12:00:00
next CA       AB:CD, ` + "`tlstunnel ca rotate`" + ` says what to do

problem: the last reload was refused, the service goes on with the config before it: config.toml:1:1: unknown key "a"
  config.toml:2:1: unknown key "b"
problem: the renewal of the server certificate failed, and is tried again on 2026-11-25 13:00:00: the disk is full
problem: tunnel "expired": the certificate expired on 2026-11-24 12:00:00
problem: tunnel "soon": the certificate expires on 2026-11-28 12:00:00
problem: tunnel "waits": there is no certificate yet, the CA is being asked for one: nobody can connect
note: the service didn't say whether it takes the config as it is now: the service isn't running with this config
`
	if got := stdout.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}
