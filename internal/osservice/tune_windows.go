package osservice

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc/mgr"
)

// recovery is what the service control manager does when the service has failed
// for the first, second, third and any further time within recoveryReset.
var recovery = []mgr.RecoveryAction{
	{Type: mgr.ServiceRestart, Delay: 5 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 30 * time.Second},
	{Type: mgr.ServiceRestart, Delay: 2 * time.Minute},
}

const recoveryReset = 24 * time.Hour

// shutdownTime is how long a shutdown of the machine waits for us, if
// shutdown_grace wants that much. Windows' own 10 seconds are as long as that is
// by default.
const shutdownTime = 5 * time.Minute

// privileges are all that the service may hold: to pass folders that it may not
// list, as every process does.
var privileges = []string{"SeChangeNotifyPrivilege"}

// tunings are what kardianos can't do at all, or only so that Install fails
// where it isn't possible.
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
	// To set a restart one must be allowed to start.
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

// configure sets one level of the configuration. T is laid out as Windows says.
func configure[T any](s *mgr.Service, level uint32, info *T) error {
	return windows.ChangeServiceConfig2(s.Handle, level, (*byte)(unsafe.Pointer(info)))
}

// multiString is a REG_MULTI_SZ: each text ends with a zero, and the list with
// another. The texts have none.
func multiString(texts []string) []uint16 {
	var list []uint16
	for _, text := range texts {
		list = append(list, windows.StringToUTF16(text)...)
	}
	return append(list, 0)
}
