package installer

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/osservice"
)

// folder is a folder for the service alone.
type folder struct {
	path    string
	mode    os.FileMode
	service bool // the folder belongs to the account, not to root
}

var (
	configFolder = folder{"/etc/tlstunnel", 0o750, false}
	stateFolder  = folder{"/var/lib/tlstunnel", 0o700, true}
	logFolder    = folder{"/var/log/tlstunnel", 0o750, true}
)

func installSteps(ctx context.Context, o Options) ([]Step, error) {
	if unit := osservice.PackagedUnit(); unit != "" {
		return nil, fmt.Errorf("this machine has the packaged service (%s): start it by `tlstunnel start` or `systemctl start tlstunnel`, or remove the package first", unit)
	}
	h := host{run: run, account: lookUpAccount}
	program, err := h.programPlace(o.Program)
	if err != nil {
		return nil, err
	}
	m := &osservice.Manager{Program: program, Config: o.Config, Unit: Unit(program, o.Config)}
	if _, err := m.State(); err != nil {
		return nil, err
	}
	steps := []Step{
		h.groupStep(), h.userStep(),
		h.folderStep(configFolder), h.folderStep(stateFolder), h.folderStep(logFolder),
	}
	if program != o.Program {
		steps = append(steps, programStep(o.Program, h.root+program))
	}
	steps = append(steps, configStep(o), h.readableStep(o.Config), pkiStep(ctx, o))
	if text, err := os.ReadFile(osservice.UnitFile); err == nil && len(text) > 0 && string(text) != m.Unit {
		steps = append(steps, unitCopyStep(unitCopy, text))
	}
	return append(steps, registrationStep(m), accessStep(o)), nil
}

func uninstallSteps(ctx context.Context, o Options) ([]Step, error) {
	if unit := osservice.PackagedUnit(); unit != "" {
		return nil, fmt.Errorf("this machine has the packaged service (%s): remove the package, as by `apt remove tlstunnel` or `dnf remove tlstunnel`", unit)
	}
	h := host{run: run, account: lookUpAccount}
	m := &osservice.Manager{Config: o.Config}
	if _, err := m.State(); err != nil {
		return nil, err
	}
	steps := []Step{stopStep(ctx, m), unregisterStep(m)}
	if copied, err := exists(unitCopy); copied || err != nil {
		steps = append(steps, removeStep("copy of a unit", unitCopy))
	}
	if !o.Purge {
		return steps, nil
	}
	if filepath.Dir(o.Config) != configFolder.path {
		steps = append(steps, removeConfigStep(o.Config))
	}
	return append(steps,
		removeStep("configs", configFolder.path),
		removeStep("CA, certificates and keys", stateFolder.path),
		removeStep("logs", logFolder.path),
		removeStep("program", installedProgram),
		h.removeAccountStep()), nil
}

// unitCopy has a name that systemd ignores: a unit's name ends with .service.
const unitCopy = osservice.UnitFile + ".old"

// unitCopyStep keeps a copy of the old unit when a new one replaces it: an administrator may have
// edited the old unit.
func unitCopyStep(file string, text []byte) Step {
	return Step{
		Name: fmt.Sprintf("copy %q of the unit that is replaced, in case it was edited: `systemctl edit tlstunnel` is for that", file),
		Do:   func() error { return atomicfile.Replace(file, text, atomicfile.Public) },
	}
}
