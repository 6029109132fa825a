//go:build !linux && !windows

package osservice

import (
	"errors"
	"time"

	kardianos "github.com/kardianos/service"
)

var errNoManager = errors.New("tlstunnel can't be installed as a service on this system: start `tlstunnel run` by the system's own means")

func definition(*Manager) (*kardianos.Config, error) { return nil, errNoManager }
func registered(*Manager) (bool, error)              { return false, errNoManager }
func forget(*Manager) error                          { return nil }
func remember() (func() error, error)                { return nil, errNoManager }
func tune(*Manager) error                            { return nil }
func queryState() (State, error)                     { return "", errNoManager }
func prepareStart()                                  {}
func lastFailure(*Manager, time.Time) string         { return "" }
func checkRights() error                             { return errNoManager }
