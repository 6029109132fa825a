package osservice

import (
	"errors"

	kardianos "github.com/kardianos/service"
	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/svc"
	"golang.org/x/sys/windows/svc/mgr"
)

// kardianos/service on Windows, with work-arounds for its faults.

func init() { kardianos.ChooseSystem(windowsSystem{kardianos.ChosenSystem()}) }

type windowsSystem struct{ kardianos.System }

func (s windowsSystem) New(i kardianos.Interface, c *kardianos.Config) (kardianos.Service, error) {
	inner, err := s.System.New(i, c)
	return windowsService{inner, c}, err
}

type windowsService struct {
	kardianos.Service
	config *kardianos.Config // shared with Service
}

// Install falls back to an account that every Windows knows.
func (s windowsService) Install() error {
	err := s.Service.Install()
	if errors.Is(err, windows.ERROR_INVALID_SERVICE_ACCOUNT) || errors.Is(err, windows.ERROR_NONE_MAPPED) {
		s.config.UserName = fallbackAccount
		err = s.Service.Install()
	}
	if errors.Is(err, windows.ERROR_SERVICE_MARKED_FOR_DELETE) {
		return errHeld
	}
	return err
}

// Uninstall first makes sure that the event source exists. Without it, Uninstall of
// kardianos/service fails after it has removed the service.
func (s windowsService) Uninstall() error {
	if ok, err := EventSourceRegistered(); err == nil && !ok {
		if err := RegisterEventSource(); err != nil {
			return err
		}
	}
	return s.Service.Uninstall()
}

// Stop asks the service to stop, and doesn't wait: kardianos/service would wait for ever.
func (windowsService) Stop() error {
	return withService(windows.SERVICE_STOP, func(s *mgr.Service) error {
		_, err := s.Control(svc.Stop)
		if errors.Is(err, windows.ERROR_SERVICE_NOT_ACTIVE) {
			return nil
		}
		return err
	})
}
