package cli

import (
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/service"
)

// TestStatusText shows everything that a service reports of itself.
func TestStatusText(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return now.AddDate(0, 0, n) }
	s := &service.Status{
		Health: service.Health{
			Verdict:  service.Degraded,
			Problems: []string{"the last reload was refused: config.toml:1:1: unknown key \"a\"\nconfig.toml:2:1: unknown key \"b\""},
			Notes:    []string{"something to know"},
		},
		Source:     service.SourceService,
		State:      service.StateRunning,
		Config:     "config.toml",
		Log:        "logs/tlstunnel.log",
		Memory:     12<<20 + 1,
		LastReload: &service.ReloadResult{Time: now, Error: "refused"},
		Renewal:    &service.RenewalStatus{Due: day(10)},
		CA:         &service.CAStatus{Expires: day(100), Next: "AB:CD"},
		Tunnels: []service.TunnelStatus{
			{Name: "well", Mode: "server", Listen: ":1", Target: []string{"a:1", "b:1"}},
			{Name: "out", Mode: "client", Listen: ":2", Target: []string{"a:1"}, LeftOut: new(service.LeftOut)},
		},
	}
	s.Tunnels[0].Failures.Target.Count = 3
	s.Tunnels[0].Failures.Target.Time = now
	s.Tunnels[0].Failures.Target.Address = "b:1"
	s.Tunnels[0].Failures.Target.Reason = "nothing listens\x1b[2J"
	var stdout strings.Builder
	if err := (&app{stdout: &stdout}).showStatus(s); err != nil {
		t.Fatal(err)
	}
	want := `verdict       degraded
state         running
config        config.toml
log           logs/tlstunnel.log
last reload   2026-11-25 12:00:00 +00:00, refused
next renewal  2026-12-05 12:00:00 +00:00
memory        12 MiB
source        the service itself
CA expires    2027-03-05 12:00:00 +00:00
next CA       AB:CD, ` + "`tlstunnel ca rotate`" + ` says what to do

TUNNEL  MODE    LISTEN         TARGET    ACTIVE  FINISHED  FAILED  CERTIFICATE EXPIRES
well    server  :1             a:1, b:1  0       0         0       -
out     client  :2 (left out)  a:1       -       -         -       -

last failure: tunnel "well", target "b:1", at 2026-11-25 12:00:00 +00:00, 3 in all: nothing listens\u001b[2J

problem: the last reload was refused: config.toml:1:1: unknown key "a"
  config.toml:2:1: unknown key "b"
note: something to know
`
	if got := stdout.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// TestStatusExpiry: days are shown only for a certificate that hasn't expired.
func TestStatusExpiry(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for left, want := range map[time.Duration]string{
		36 * time.Hour:       "2026-11-27 (1 days)",
		time.Hour:            "2026-11-25 (0 days)",
		0:                    "2026-11-25 (expired)",
		-40 * 24 * time.Hour: "2026-10-16 (expired)",
	} {
		if got := expiryText(now.Add(left), now); got != want {
			t.Errorf("%v left: got %q, want %q", left, got, want)
		}
	}
}

// TestStatusLog: if the log is no file, the status says so in words, not with the sign of the
// config.
func TestStatusLog(t *testing.T) {
	for file, want := range map[string]string{
		config.Console:   "\nlog      no file, the lines go to stderr\n",
		"/var/log/x.log": "\nlog      /var/log/x.log\n",
		"":               "",
	} {
		var stdout strings.Builder
		if err := (&app{stdout: &stdout}).showStatus(&service.Status{Log: file}); err != nil {
			t.Fatal(err)
		}
		if got := stdout.String(); !strings.Contains(got, want) || want == "" && strings.Contains(got, "\nlog") {
			t.Errorf("%q: got\n%s", file, got)
		}
	}
}
