//go:build !linux && !windows

package installer

import (
	"context"
	"errors"
)

var errNoSteps = errors.New("tlstunnel can't be installed as a service on this system: start `tlstunnel run` by the system's own means")

func installSteps(context.Context, Options) ([]Step, error)   { return nil, errNoSteps }
func uninstallSteps(context.Context, Options) ([]Step, error) { return nil, errNoSteps }
