// Package osservice registers the service with systemd or the Windows service control
// manager, starts and stops it there, asks for its state, and finds out why it ended. On
// Windows it also runs the service: [RunAsService]. It knows nothing of tunnels.
//
//	m := &osservice.Manager{Program: program, Config: file, Unit: unit}
//	err := m.Install()
//	err = m.Start(ctx)
package osservice

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	kardianos "github.com/kardianos/service"
)

// Name is the name of the service in the service manager.
const Name = "tlstunnel"

// The texts that a service manager shows.
const (
	displayName = "tlstunnel"
	description = "TLS tunnels for programs that can't speak TLS"
)

// statePoll is the time between two questions to the service manager while a service starts or
// stops.
const statePoll = 100 * time.Millisecond

// Manager registers the service with the service manager of the operating system (systemd, the
// Windows service control manager), starts and stops it there. Only this package uses
// kardianos/service and works around its faults. Except for State, its methods need
// administrator rights: [Manager.Rights] checks for them.
type Manager struct {
	// Program and Config are absolute paths: the service runs
	// `Program run --config Config`. Only Install needs them.
	Program, Config string

	// Unit is the text of the systemd unit. Only Install needs it, and only
	// there.
	Unit string

	// Mistakes finds what is wrong with a config; it may be nil. If the service ends without a
	// reason in its log, Start calls it for the registered config. On Linux the journal has
	// the reason.
	Mistakes func(configFile string) error
}

// State is the state of the service, as the service manager reports it.
type State string

// The states of the service.
const (
	NotInstalled State = "not installed"
	Stopped      State = "stopped"
	Starting     State = "starting"
	Running      State = "running"
	Stopping     State = "stopping"
	Failed       State = "failed" // it ended by itself; the service manager may start it again
)

// ErrNotInstalled means that the service isn't registered with the service manager.
var ErrNotInstalled = errors.New("the service isn't installed")

// Each system has these methods in manager_GOOS.go:
//
//	definition(*Manager) (*kardianos.Config, error)
//		what is registered: name, arguments, account, unit text, recovery
//	registered(*Manager) (bool, error)
//		whether the registration is there, and is what Install would make
//	forget(*Manager) error
//		removes the registration that differs, and what a failed one has left
//		behind; nil if there is nothing
//	remember() (putBack func() error, err error)
//		putBack registers the service as it is registered now
//	tune(*Manager) error
//		see [Manager.Tune]
//	queryState() (State, error)
//		NotInstalled is no error; needs no rights
//	prepareStart()
//		makes the service manager take a start, after failures too
//	lastFailure(m *Manager, since time.Time) string
//		why the service ended, in its own words, or "" if nobody knows
//	checkRights() error
//		nil if this process may install, start and stop services; the error
//		says how to get the rights

// Rights returns nil if this process may install, start and stop services. The error says how
// to get the rights.
func (m *Manager) Rights() error { return checkRights() }

// State asks the service manager for the state. It needs no rights.
func (m *Manager) State() (State, error) { return queryState() }

// Installed reports whether Install has nothing to do.
func (m *Manager) Installed() (bool, error) { return registered(m) }

// Install registers the service, so that it starts with the machine. It doesn't start it now.
// It replaces a registration that differs. If it fails, there is no registration; on Linux the
// old one stays, because its service may run.
func (m *Manager) Install() error {
	if done, err := registered(m); done || err != nil {
		return err
	}
	s, err := m.service()
	if err != nil {
		return err
	}
	putBack, err := remember()
	if err != nil {
		return err
	}
	if err := forget(m); err != nil {
		return err
	}
	if err := s.Install(); err != nil {
		return errors.Join(fmt.Errorf("registering the service: %w", err), forget(m), putBack())
	}
	return nil
}

// Tune makes the settings that kardianos/service can't make. The service works without them,
// so an error is only a warning.
func (m *Manager) Tune() error { return tune(m) }

// Uninstall removes the registration. The service must have stopped. It is no error if there
// is no registration.
func (m *Manager) Uninstall() error {
	state, err := queryState()
	if err != nil || state == NotInstalled {
		return err
	}
	s, err := m.service()
	if err != nil {
		return err
	}
	if err := s.Uninstall(); err != nil {
		return fmt.Errorf("removing the registration: %w", err)
	}
	return forget(m)
}

// Start starts the service and waits until it serves, or ctx is done. The error says why it
// doesn't run, in the service's own words if there are any. If the service runs, Start does
// nothing.
func (m *Manager) Start(ctx context.Context) error {
	s, err := m.installed()
	if err != nil {
		return err
	}
	state, err := queryState()
	if err != nil || state == Running {
		return err
	}
	began := time.Now()
	if state != Starting {
		prepareStart()
		if err := s.Start(); err != nil {
			return m.startError(began, err)
		}
	}
	state, err = awaitState(ctx, Starting)
	if err != nil {
		return fmt.Errorf("waiting for the service to run: %w", err)
	}
	if state != Running {
		return m.startError(began, fmt.Errorf("it is %s", state))
	}
	return nil
}

// Restart stops the service if it runs, and starts it as Start does.
func (m *Manager) Restart(ctx context.Context) error {
	if err := m.Stop(ctx); err != nil {
		return err
	}
	return m.Start(ctx)
}

// startError says why the service didn't start. err is what the service manager says: it is
// used only if the service itself left no reason.
func (m *Manager) startError(since time.Time, err error) error {
	return &StartError{Reason: lastFailure(m, since), cause: err}
}

// StartError means that the service was started and doesn't run.
type StartError struct {
	Reason string // the service's own words, a line for each reason; "" if it left none
	cause  error
}

func (e *StartError) Error() string {
	if e.Reason != "" {
		return e.Reason
	}
	return "starting the service: " + e.cause.Error()
}

func (e *StartError) Unwrap() error { return e.cause }

// stopLimit is how long a stop may take: longer than the longest shutdown_grace.
const stopLimit = 65 * time.Minute

// Stop stops the service and waits until it has stopped, ctx is done, or stopLimit is over. If
// the service doesn't run, Stop does nothing.
func (m *Manager) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	s, err := m.installed()
	if err != nil {
		return err
	}
	state, err := queryState()
	if err != nil || state == Stopped {
		return err
	}
	// The service manager may be about to start a failed service again.
	if err := s.Stop(); err != nil && state != Failed {
		return fmt.Errorf("stopping the service: %w", err)
	}
	state, err = awaitState(ctx, Stopping, Running)
	if err != nil {
		return fmt.Errorf("waiting for the service to stop: %w", err)
	}
	if state == Starting {
		return errors.New("the service was started again while it stopped")
	}
	return nil
}

// awaitState waits as long as the service is in one of the states, and returns the next state.
func awaitState(ctx context.Context, while ...State) (State, error) {
	poll := time.NewTicker(statePoll)
	defer poll.Stop()
	for {
		state, err := queryState()
		if err != nil || !slices.Contains(while, state) {
			return state, err
		}
		select {
		case <-poll.C:
		case <-ctx.Done():
			return state, ctx.Err()
		}
	}
}

func (m *Manager) installed() (kardianos.Service, error) {
	state, err := queryState()
	if err != nil {
		return nil, err
	}
	if state == NotInstalled {
		return nil, ErrNotInstalled
	}
	return m.service()
}

func (m *Manager) service() (kardianos.Service, error) {
	c, err := definition(m)
	if err != nil {
		return nil, err
	}
	return kardianos.New(notRun{}, c)
}

// notRun satisfies kardianos/service. Its methods are never called: Manager doesn't run the
// service.
type notRun struct{}

func (notRun) Start(kardianos.Service) error { return nil }
func (notRun) Stop(kardianos.Service) error  { return nil }
