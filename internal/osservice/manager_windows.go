package osservice

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"

	kardianos "github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"

	"tlstunnel/internal/config"
)

// fallbackAccount is for machines without virtual accounts. We never use LocalSystem, which
// has all rights.
const fallbackAccount = `NT AUTHORITY\LocalService`

func definition(m *Manager) (*kardianos.Config, error) {
	return &kardianos.Config{
		Name:        Name,
		DisplayName: displayName,
		Description: description,
		UserName:    Account,
		Executable:  m.Program,
		Arguments:   arguments(m.Config),
	}, nil
}

func arguments(configFile string) []string {
	return []string{"run", "--as-service", "--config", configFile}
}

// commandLine returns the command line to register, quoted as Windows needs it.
func commandLine(m *Manager) string {
	line := syscall.EscapeArg(m.Program)
	for _, arg := range arguments(m.Config) {
		line += " " + syscall.EscapeArg(arg)
	}
	return line
}

func registered(m *Manager) (bool, error) {
	r, err := queryRegistration()
	if errors.Is(err, ErrNotInstalled) {
		return false, nil
	}
	return r == registration{commandLine(m), true, r.account} && !strings.EqualFold(r.account, "LocalSystem"), err
}

// registration is the compared part of the service's registration. An administrator may have
// chosen the account.
type registration struct {
	commandLine string
	automatic   bool
	account     string
}

func queryRegistration() (r registration, err error) {
	err = withService(windows.SERVICE_QUERY_CONFIG, func(s *mgr.Service) error {
		// s.Config also asks for other settings, and fails if one of them fails.
		buf := make([]byte, 8<<10) // the largest size that QueryServiceConfig needs
		c := (*windows.QUERY_SERVICE_CONFIG)(unsafe.Pointer(&buf[0]))
		var needed uint32
		if err := windows.QueryServiceConfig(s.Handle, c, uint32(len(buf)), &needed); err != nil {
			return err
		}
		r = registration{
			commandLine: windows.UTF16PtrToString(c.BinaryPathName),
			automatic:   c.StartType == windows.SERVICE_AUTO_START,
			account:     windows.UTF16PtrToString(c.ServiceStartName),
		}
		return nil
	})
	return r, err
}

// forget removes the registration. It refuses if the service runs: Windows would only mark it
// for deletion, and refuse a new registration until it ends.
func forget(*Manager) error {
	state, err := queryState()
	switch {
	case err != nil || state == NotInstalled:
		return err
	case state != Stopped && state != Failed:
		return errors.New("the service is registered with another program, config or account, and runs: stop it first (`tlstunnel stop`)")
	}
	if err := withService(windows.DELETE, (*mgr.Service).Delete); err != nil && !errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if _, err = awaitState(ctx, Stopped, Failed); errors.Is(err, context.DeadlineExceeded) {
		return errHeld
	}
	return err
}

// errHeld means that the service is deleted, but Windows keeps it as long as a program has it
// open.
var errHeld = errors.New("the old registration stays as long as a program has the service open: close the Services window, and whatever else watches the service, and try again")

// remember does nothing: if Windows refuses the new registration, the service doesn't run.
func remember() (putBack func() error, err error) { return func() error { return nil }, nil }

func queryState() (state State, err error) {
	err = withService(windows.SERVICE_QUERY_STATUS, func(s *mgr.Service) error {
		status, err := s.Query()
		state = stateOf(status)
		return err
	})
	if errors.Is(err, ErrNotInstalled) {
		return NotInstalled, nil
	}
	return state, err
}

// stateOf translates a state of the service control manager to a State.
func stateOf(s svc.Status) State {
	switch s.State {
	case svc.StartPending:
		return Starting
	case svc.StopPending:
		return Stopping
	case svc.Stopped:
		if s.Win32ExitCode != 0 && s.Win32ExitCode != uint32(windows.ERROR_SERVICE_NEVER_STARTED) {
			return Failed
		}
		return Stopped
	default:
		return Running
	}
}

func prepareStart() {}

// tailSize is how much of the log is searched for the reason of a failure.
const tailSize = 64 << 10

// lastFailure finds in the log of the service why it ended. If the log has no reason, it
// returns what is wrong with the config now.
func lastFailure(m *Manager, since time.Time) string {
	r, err := queryRegistration()
	if err != nil {
		return ""
	}
	file := registeredConfig(r.commandLine)
	cfg, _, _ := config.Load(file)
	if cfg == nil {
		cfg, _ = config.Parse(file, nil) // the defaults, which `run` uses too
	}
	if reason := failureIn(tail(cfg.Log.File), since); reason != "" || m.Mistakes == nil {
		return reason
	}
	if err := m.Mistakes(file); err != nil {
		return err.Error()
	}
	return ""
}

// registeredConfig returns the path of the config in a registered command line.
func registeredConfig(commandLine string) string {
	args, _ := windows.DecomposeCommandLine(commandLine)
	for i, arg := range args {
		if arg == "--config" && i+1 < len(args) {
			return args[i+1]
		}
		if file, ok := strings.CutPrefix(arg, "--config="); ok {
			return file
		}
	}
	return config.SystemConfig()
}

// tail returns the end of a file, "" if it can't be read.
func tail(file string) string {
	f, err := os.Open(filepath.Clean(file))
	if err != nil {
		return ""
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return ""
	}
	buf := make([]byte, tailSize)
	n, _ := f.ReadAt(buf, max(0, info.Size()-tailSize))
	return string(buf[:n])
}

func checkRights() error {
	scm, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CREATE_SERVICE)
	if errors.Is(err, windows.ERROR_ACCESS_DENIED) {
		return errors.New("this needs the rights of an administrator: run it again in a prompt that was opened by \"Run as administrator\"")
	}
	if err != nil {
		return fmt.Errorf("asking the service control manager: %w", err)
	}
	return windows.CloseServiceHandle(scm)
}

// withService calls do with the registered service, opened with no more than the given access:
// every user may ask for the state. The error wraps [ErrNotInstalled] if it isn't registered.
func withService(access uint32, do func(*mgr.Service) error) error {
	scm, err := windows.OpenSCManager(nil, nil, windows.SC_MANAGER_CONNECT)
	if err != nil {
		return fmt.Errorf("asking the service control manager: %w", err)
	}
	defer windows.CloseServiceHandle(scm)
	name, err := windows.UTF16PtrFromString(Name)
	if err != nil {
		return err
	}
	h, err := windows.OpenService(scm, name, access)
	if errors.Is(err, windows.ERROR_SERVICE_DOES_NOT_EXIST) {
		return ErrNotInstalled
	}
	if err != nil {
		return fmt.Errorf("asking for the service: %w", err)
	}
	defer windows.CloseServiceHandle(h)
	return do(&mgr.Service{Name: Name, Handle: h})
}
