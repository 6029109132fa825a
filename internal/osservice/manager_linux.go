package osservice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	kardianos "github.com/kardianos/service"
)

// UnitFile is where Install puts the unit. kardianos/service uses this path, and systemd has
// it for units that aren't from a package.
const UnitFile = "/etc/systemd/system/" + Name + ".service"

// packagedUnits are the paths where a package puts the unit.
var packagedUnits = []string{"/usr/lib/systemd/system/" + Name + ".service", "/lib/systemd/system/" + Name + ".service"}

// systemctlTimeout limits questions to systemctl, not start and stop.
const systemctlTimeout = 10 * time.Second

var errMasked = errors.New("somebody has masked the service: `systemctl unmask " + Name + "` takes that back")

// PackagedUnit returns the unit that a package has installed, "" if there is none. A unit in
// UnitFile would hide it.
func PackagedUnit() string {
	for _, file := range packagedUnits {
		if _, err := os.Stat(file); err == nil {
			return file
		}
	}
	return ""
}

func definition(m *Manager) (*kardianos.Config, error) {
	if err := checkSystemd(); err != nil {
		return nil, err
	}
	// kardianos/service takes the unit for a template, in which only {{ has a meaning.
	if strings.Contains(m.Unit, "{{") {
		return nil, errors.New("a path with {{ in it can't be registered with systemd")
	}
	return &kardianos.Config{
		Name:        Name,
		DisplayName: displayName,
		Description: description,
		Executable:  m.Program,
		Option:      kardianos.KeyValue{"SystemdScript": m.Unit},
	}, nil
}

func checkSystemd() error {
	if _, err := os.Stat("/run/systemd/system"); err != nil { // sd_booted(3)
		return errors.New("this machine isn't run by systemd: start `tlstunnel run` by the means of the init that it has")
	}
	return nil
}

func registered(m *Manager) (bool, error) {
	if err := checkSystemd(); err != nil {
		return false, err
	}
	text, err := os.ReadFile(UnitFile)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil || string(text) != m.Unit {
		return false, err
	}
	properties, err := show("UnitFileState", "NeedDaemonReload")
	return properties["UnitFileState"] == "enabled" && properties["NeedDaemonReload"] == "no", err
}

// forget removes our unit. If kardianos/service fails, it leaves an empty unit, which would
// mask the service and block the next Install.
func forget(*Manager) error {
	info, err := os.Lstat(UnitFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errMasked
	case info.Size() > 0:
		if err := systemctl("disable", Name+".service"); err != nil {
			return err
		}
	}
	if err := os.Remove(UnitFile); err != nil {
		return err
	}
	return systemctl("daemon-reload")
}

// remember keeps the old unit for the case that Install fails: a service that runs must not be
// left without a unit.
func remember() (putBack func() error, err error) {
	text, err := os.ReadFile(UnitFile)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return func() error { return nil }, nil
	}
	return func() error {
		if err := os.WriteFile(UnitFile, text, 0o644); err != nil {
			return err
		}
		return errors.Join(systemctl("daemon-reload"), systemctl("enable", Name+".service"))
	}, err
}

func tune(*Manager) error { return nil }

func queryState() (State, error) {
	if err := checkSystemd(); err != nil {
		return "", err
	}
	p, err := show("LoadState", "ActiveState", "SubState")
	if err != nil {
		return "", err
	}
	if info, err := os.Lstat(UnitFile); err == nil && !info.Mode().IsRegular() && p["LoadState"] == "masked" {
		return "", errMasked
	}
	return unitState(p), nil
}

// unitState translates systemd's properties to a State.
func unitState(p map[string]string) State {
	switch {
	case p["ActiveState"] == "inactive" && (p["LoadState"] == "not-found" || p["LoadState"] == "masked"):
		return NotInstalled
	case p["ActiveState"] == "failed" || strings.HasPrefix(p["SubState"], "auto-restart"):
		return Failed
	case p["ActiveState"] == "active" || p["ActiveState"] == "reloading":
		return Running
	case p["ActiveState"] == "activating":
		return Starting
	case p["ActiveState"] == "deactivating":
		return Stopping
	default:
		return Stopped
	}
}

// prepareStart makes systemd forget earlier failures. Otherwise a unit with a StartLimit could
// refuse the start, and the wait between starts would be long.
func prepareStart() { _ = systemctl("reset-failed", Name+".service") }

// lastFailure returns what the program last wrote to stderr.
func lastFailure(_ *Manager, since time.Time) string {
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "journalctl", "--unit="+Name+".service",
		fmt.Sprintf("--since=@%.6f", float64(since.UnixMicro())/1e6), "--output=cat", "--no-pager", "--quiet").Output()
	if err != nil {
		return ""
	}
	return complaints(string(out))
}

// complaints returns the lines in a journal that the program wrote for people, each once. If
// there are none, it returns systemd's lines about the program.
func complaints(journal string) string {
	var ours, systemds []string
	for line := range strings.Lines(journal) {
		line = strings.TrimSpace(line)
		if text, ok := strings.CutPrefix(line, Name+": "); ok && !strings.HasPrefix(text, "hint: ") && !slices.Contains(ours, text) {
			ours = append(ours, text)
		}
		if strings.HasPrefix(line, Name+".service: Failed ") && !slices.Contains(systemds, line) {
			systemds = append(systemds, line)
		}
	}
	if ours == nil {
		ours = systemds
	}
	return strings.Join(ours, "\n")
}

func checkRights() error {
	if os.Geteuid() != 0 {
		return errors.New("this needs the rights of root: run it again with sudo")
	}
	return nil
}

// UnitProperties asks systemd for properties of the service's unit, by the names that
// systemd.directives(7) lists.
func UnitProperties(names ...string) (map[string]string, error) {
	if err := checkSystemd(); err != nil {
		return nil, err
	}
	return show(names...)
}

// show asks systemd for properties of the service.
func show(properties ...string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property="+strings.Join(properties, ","), Name+".service").Output()
	if err != nil {
		return nil, fmt.Errorf("asking systemd for the state of the service: %w", withStderr(err))
	}
	values := map[string]string{}
	for line := range strings.Lines(string(out)) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		values[key] = value
	}
	return values, nil
}

func systemctl(args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), systemctlTimeout)
	defer cancel()
	if _, err := exec.CommandContext(ctx, "systemctl", args...).Output(); err != nil {
		return fmt.Errorf("systemctl %s: %w", strings.Join(args, " "), withStderr(err))
	}
	return nil
}

// withStderr adds the program's stderr to err.
func withStderr(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(exit.Stderr) > 0 {
		return fmt.Errorf("%s", bytes.TrimSpace(exit.Stderr))
	}
	return err
}
