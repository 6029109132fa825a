// Package osservice registers the service with systemd or the service control manager of
// Windows, starts and stops it there, asks for its state, and finds out why it has died. On
// Windows it also runs it: [RunAsService]. It knows nothing of tunnels.
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

// Name is what the operating system's service manager calls the service.
const Name = "tlstunnel"

// The texts that a service manager shows.
const (
	displayName = "tlstunnel"
	description = "TLS tunnels for programs that can't speak TLS"
)

// statePoll is how often the service manager is asked while a service starts or
// stops.
const statePoll = 100 * time.Millisecond

// Manager registers the service with the operating system's service manager
// (systemd, the Windows service control manager), starts and stops it there. It
// is the one place that knows kardianos/service and its traps. Except for State,
// its methods need an administrator's rights: [Manager.Rights] asks for them.
type Manager struct {
	// Program and Config are absolute paths: the service runs
	// `Program run --config Config`. Only Install needs them.
	Program, Config string

	// Unit is the text of the systemd unit. Only Install needs it, and only
	// there.
	Unit string

	// Mistakes finds what is wrong with a config. Start asks it about the config that the
	// service is registered with, if the service has ended without a reason in its log.
	// Nil for no such help. On Linux the journal has the reason.
	Mistakes func(configFile string) error
}

// State is what the service manager says of the service.
type State string

// The states of the service.
const (
	NotInstalled State = "not installed"
	Stopped      State = "stopped"
	Starting     State = "starting"
	Running      State = "running"
	Stopping     State = "stopping"
	Failed       State = "failed" // it ended by itself; it may be about to be started again
)

// ErrNotInstalled means that the service manager knows no such service.
var ErrNotInstalled = errors.New("the service isn't installed")

// What differs by system is in manager_GOOS.go:
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

// Rights is nil if this process may install, start and stop services. The error
// says how to get the rights.
func (m *Manager) Rights() error { return checkRights() }

// State asks the service manager. It needs no rights.
func (m *Manager) State() (State, error) { return queryState() }

// Installed reports whether Install has nothing to do.
func (m *Manager) Installed() (bool, error) { return registered(m) }

// Install registers the service, to be started with the machine from now on; it
// doesn't start it now. It replaces a registration that differs. When it fails it
// leaves none; on Linux the one before, whose service may run.
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

// Tune improves the registration by what kardianos/service can't do. The service
// works without: an error is no more than a warning.
func (m *Manager) Tune() error { return tune(m) }

// Uninstall removes the registration, of a service that has stopped. It is no
// error when there is none.
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

// Start starts the service and waits until it really runs, or ctx is done. The
// error says why it doesn't, in the service's own words if there are any. To
// start a running service does nothing.
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

// Restart stops the service, if it runs, and starts it as Start does.
func (m *Manager) Restart(ctx context.Context) error {
	if err := m.Stop(ctx); err != nil {
		return err
	}
	return m.Start(ctx)
}

// startError says why the service didn't start. What the service manager says,
// err, is of use only when the service itself had no chance to say more.
func (m *Manager) startError(since time.Time, err error) error {
	return &StartError{Reason: lastFailure(m, since), cause: err}
}

// StartError is a service that was told to start and doesn't run.
type StartError struct {
	Reason string // in the service's own words, a line for each; "" if it has left none
	cause  error
}

func (e *StartError) Error() string {
	if e.Reason != "" {
		return e.Reason
	}
	return "starting the service: " + e.cause.Error()
}

func (e *StartError) Unwrap() error { return e.cause }

// stopLimit is how long a stop may take: more than the longest shutdown_grace,
// which decides.
const stopLimit = 65 * time.Minute

// Stop stops the service and waits until it has stopped, ctx is done, or no
// shutdown_grace could explain why it hasn't. To stop a stopped service does
// nothing.
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
	// A service that has failed may be about to be started again.
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

// awaitState waits while the service is in one of the states, and returns the
// next one.
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

// notRun is never called: who runs the service doesn't do it through Manager.
type notRun struct{}

func (notRun) Start(kardianos.Service) error { return nil }
func (notRun) Stop(kardianos.Service) error  { return nil }
