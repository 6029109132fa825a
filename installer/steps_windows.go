package installer

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"golang.org/x/sys/windows/registry"

	"tlstunnel/internal/config"
	"tlstunnel/internal/osservice"
)

var errPackaged = errors.New("this machine has tlstunnel from its MSI, which has installed the service: start it by `tlstunnel start`, remove it in Settings, Apps")

func installSteps(ctx context.Context, o Options) ([]Step, error) {
	if packaged() {
		return nil, errPackaged
	}
	program, err := programPlace(o.Program)
	if err != nil {
		return nil, err
	}
	paths := config.DefaultPaths()
	m := &osservice.Manager{Program: program, Config: o.Config}
	steps := []Step{
		folderStep(filepath.Dir(paths.Config), mayRead),
		folderStep(paths.PKI, mayModify),
		folderStep(filepath.Dir(paths.Log), mayModify),
	}
	if program != o.Program {
		steps = append(steps, programStep(o.Program, program))
	}
	return append(steps, configStep(o), pkiStep(ctx, o), keysStep(paths.PKI), registrationStep(m),
		tuneStep(m), eventSourceStep(), accessStep(o)), nil
}

func uninstallSteps(ctx context.Context, o Options) ([]Step, error) {
	if packaged() {
		return nil, errPackaged
	}
	_, folder, err := programFolder()
	if err != nil {
		return nil, err
	}
	m := &osservice.Manager{Config: o.Config}
	steps := []Step{stopStep(ctx, m), unregisterStep(m), removeEventSourceStep(), removeProgramStep(folder)}
	if !o.Purge {
		return steps, nil
	}
	paths := config.DefaultPaths()
	if !inFolder(o.Config, filepath.Dir(paths.Config)) {
		steps = append(steps, removeConfigStep(o.Config))
	}
	return append(steps, removeStep("config, CA, certificates, keys and logs", filepath.Dir(paths.Config))), nil
}

// packaged reports whether the MSI has installed the program.
func packaged() bool {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, `SOFTWARE\tlstunnel`, registry.QUERY_VALUE|registry.WOW64_64KEY)
	if err != nil {
		return false
	}
	defer k.Close()
	dir, _, err := k.GetStringValue("InstallDir")
	return err == nil && dir != ""
}

func tuneStep(m *osservice.Manager) Step {
	return Step{Name: "restart after failures, delayed start, few privileges", Do: m.Tune, Extra: true}
}

func eventSourceStep() Step {
	return Step{
		Name:  fmt.Sprintf("Event Log source %q", osservice.Name),
		Done:  osservice.EventSourceRegistered,
		Do:    osservice.RegisterEventSource,
		Undo:  osservice.UnregisterEventSource,
		Extra: true,
	}
}

func removeEventSourceStep() Step {
	return Step{
		Name: fmt.Sprintf("remove Event Log source %q", osservice.Name),
		Done: func() (bool, error) {
			found, err := osservice.EventSourceRegistered()
			return !found, err
		},
		Do:    osservice.UnregisterEventSource,
		Extra: true,
	}
}
