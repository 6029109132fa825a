package osservice

import (
	"slices"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"tlstunnel/internal/config"
)

func TestCommandLine(t *testing.T) {
	m := &Manager{Program: `C:\Program Files\tlstunnel\tlstunnel.exe`, Config: `C:\My Configs\config.toml`}
	const want = `"C:\Program Files\tlstunnel\tlstunnel.exe" run --as-service --config "C:\My Configs\config.toml"`
	got := commandLine(m)
	if got != want {
		t.Errorf("got %s", got)
	}
	if file := registeredConfig(got); file != m.Config {
		t.Errorf("config %q", file)
	}
	for line, want := range map[string]string{
		`x.exe run --config=D:\c.toml`: `D:\c.toml`,
		`x.exe run`:                    config.SystemConfig(),
	} {
		if got := registeredConfig(line); got != want {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// TestDefinition: the account has no rights, and no option of kardianos is set that could
// make Install fail.
func TestDefinition(t *testing.T) {
	c, err := definition(&Manager{Program: `C:\p.exe`, Config: `C:\c.toml`})
	if err != nil {
		t.Fatal(err)
	}
	if c.UserName != `NT SERVICE\tlstunnel` || fallbackAccount != `NT AUTHORITY\LocalService` {
		t.Errorf("account %q, %q", c.UserName, fallbackAccount)
	}
	if len(c.Option) > 0 || len(c.Dependencies) > 0 {
		t.Errorf("got %+v", c)
	}
}

func TestRecovery(t *testing.T) {
	want := []mgr.RecoveryAction{{Type: 1, Delay: 5 * time.Second}, {Type: 1, Delay: 30 * time.Second}, {Type: 1, Delay: 2 * time.Minute}}
	if !slices.Equal(recovery, want) {
		t.Errorf("got %+v", recovery)
	}
	if recoveryReset != 86400*time.Second {
		t.Errorf("reset after %s", recoveryReset)
	}
	if list := multiString(privileges); windows.UTF16ToString(list) != "SeChangeNotifyPrivilege" || !slices.Equal(list[len(list)-2:], []uint16{0, 0}) {
		t.Errorf("privileges %v", list)
	}
}

func TestStateOf(t *testing.T) {
	for _, tt := range []struct {
		status svc.Status
		want   State
	}{
		{svc.Status{State: svc.Running}, Running},
		{svc.Status{State: svc.StartPending}, Starting},
		{svc.Status{State: svc.StopPending}, Stopping},
		{svc.Status{State: svc.Stopped}, Stopped},
		{svc.Status{State: svc.Stopped, Win32ExitCode: uint32(windows.ERROR_SERVICE_NEVER_STARTED)}, Stopped},
		{svc.Status{State: svc.Stopped, Win32ExitCode: uint32(windows.ERROR_SERVICE_SPECIFIC_ERROR), ServiceSpecificExitCode: 1}, Failed},
		{svc.Status{State: svc.Stopped, Win32ExitCode: uint32(windows.ERROR_PROCESS_ABORTED)}, Failed},
	} {
		if got := stateOf(tt.status); got != tt.want {
			t.Errorf("%+v is %s, want %s", tt.status, got, tt.want)
		}
	}
}
