package osservice

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

// recovery is what the service control manager does after the first, second, third and any
// further failure within recoveryReset.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 2 * time.Minute},
}

const recoveryReset = 24 * time.Hour

// shutdownTime is the longest that a shutdown of the machine waits for us. The default of
// Windows is 10 seconds, which is the default of shutdown_grace too; a longer shutdown_grace
// needs more.
const shutdownTime = 5 * time.Minute

// privileges are the only ones that the service may hold: the right to pass through folders
// that it may not list, which every process has.
var privileges = []string{"SeChangeNotifyPrivilege"}

// tunings are the settings that kardianos/service can't make, or whose failure would make its
// Install fail.
var tunings = []struct {
	name string
	set  func(*mgr.Service) error
}{
	{"restart after a failure", func(s *mgr.Service) error {
		return s.SetRecoveryActions(recovery, uint32(recoveryReset/time.Second))
	}},
	{"restart after an error, too", func(s *mgr.Service) error { return s.SetRecoveryActionsOnNonCrashFailures(true) }},
	{"delayed start", func(s *mgr.Service) error {
		return configure(s, windows.SERVICE_CONFIG_DELAYED_AUTO_START_INFO, &windows.SERVICE_DELAYED_AUTO_START_INFO{IsDelayedAutoStartUp: 1})
	}},
	{"time to drain when the machine shuts down", func(s *mgr.Service) error {
		milliseconds := uint32(shutdownTime / time.Millisecond) // SERVICE_PRESHUTDOWN_INFO
		return configure(s, windows.SERVICE_CONFIG_PRESHUTDOWN_INFO, &milliseconds)
	}},
	{"SID of the service", func(s *mgr.Service) error {
		kind := uint32(windows.SERVICE_SID_TYPE_UNRESTRICTED) // SERVICE_SID_INFO
		return configure(s, windows.SERVICE_CONFIG_SERVICE_SID_INFO, &kind)
	}},
	{"no privileges but one", func(s *mgr.Service) error {
		list := multiString(privileges)
		first := &list[0] // SERVICE_REQUIRED_PRIVILEGES_INFO
		return configure(s, windows.SERVICE_CONFIG_REQUIRED_PRIVILEGES_INFO, &first)
	}},
}

func tune(*Manager) error {
	// To set a restart as recovery needs the right to start the service.
	return withService(windows.SERVICE_CHANGE_CONFIG|windows.SERVICE_START, func(s *mgr.Service) error {
		var failed error
		for _, t := range tunings {
			if err := t.set(s); err != nil {
				failed = errors.Join(failed, fmt.Errorf("%s: %w", t.name, err))
			}
		}
		return failed
	})
}

// configure sets one info level of the configuration. T has the layout that Windows expects.
func configure[T any](s *mgr.Service, level uint32, info *T) error {
	return windows.ChangeServiceConfig2(s.Handle, level, (*byte)(unsafe.Pointer(info)))
}

// multiString returns a REG_MULTI_SZ: each text ends with a zero, and the list with another.
// The texts contain no zero.
func multiString(texts []string) []uint16 {
	var list []uint16
	for _, text := range texts {
		list = append(list, windows.StringToUTF16(text)...)
	}
	return append(list, 0)
}
