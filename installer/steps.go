//go:build linux || windows

package installer

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"tlstunnel/internal/access"
	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/filerights"
	"tlstunnel/internal/osservice"
	"tlstunnel/internal/ownpki"
	"tlstunnel/pki"
)

// The steps that are the same on Linux and Windows.

// configStep writes the first config.
func configStep(o Options) Step {
	return Step{
		Name: fmt.Sprintf("config %q", o.Config),
		Done: func() (bool, error) { return exists(o.Config) },
		Do:   func() error { return atomicfile.Create(o.Config, o.Example, atomicfile.Group) },
		Undo: func() error { return os.Remove(o.Config) },
	}
}

// pkiStep makes our own CA and server certificate as the config says.
func pkiStep(ctx context.Context, o Options) Step {
	var created, marks []string
	var folder string // the PKI folder, if this step has made it
	undo := func() error {
		_ = removeFiles(marks) // fails for marks that couldn't be made
		if folder != "" {
			return os.RemoveAll(folder)
		}
		return removeFiles(created)
	}
	return Step{
		Name: "CA and server certificate",
		Done: func() (bool, error) {
			cfg, err := loadConfig(o.Config)
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil // this is a dry run: the step before would write the config
			}
			if err != nil {
				return false, err
			}
			_, err = pki.Open(cfg.PKI.Dir, time.Now())
			if errors.Is(err, fs.ErrNotExist) {
				return false, nil
			}
			return err == nil, err
		},
		Do: func() error {
			cfg, err := loadConfig(o.Config)
			if err != nil {
				return err
			}
			if there, err := exists(cfg.PKI.Dir); err == nil && !there {
				folder = cfg.PKI.Dir
			}
			for _, mark := range ownpki.Marks(cfg) {
				if there, err := exists(mark); err == nil && !there {
					marks = append(marks, mark)
				}
			}
			_, created, err = ownpki.First(ctx, cfg)
			if len(created) == len(pki.Files(cfg.PKI.Dir)) {
				created = append(created, pki.LockFile(cfg.PKI.Dir))
			}
			if err != nil {
				return errors.Join(err, undo()) // Apply doesn't undo a step that failed
			}
			return nil
		},
		Undo: undo,
	}
}

// registrationStep makes the service manager know the service.
func registrationStep(m *osservice.Manager) Step {
	return Step{
		Name: "registration with the service manager",
		Done: m.Installed,
		Do:   m.Install,
		Undo: m.Uninstall,
	}
}

// accessStep warns of files that the config names and the service's account can't read or write. It
// comes after the registration, which says which account that is.
func accessStep(o Options) Step {
	return Step{
		Name:  "the service can use all that its config names",
		Extra: true,
		Check: func() error {
			cfg, err := loadConfig(o.Config)
			if err != nil {
				return err
			}
			var failed error
			for _, p := range access.Problems(cfg) {
				failed = errors.Join(failed, errors.New(p.String()))
			}
			return failed
		},
	}
}

// stopStep stops the service.
func stopStep(ctx context.Context, m *osservice.Manager) Step {
	return Step{
		Name: "stop the service",
		Done: func() (bool, error) {
			state, err := m.State()
			return state == osservice.Stopped || state == osservice.NotInstalled, err
		},
		Do: func() error { return m.Stop(ctx) },
	}
}

// unregisterStep makes the service manager forget the service.
func unregisterStep(m *osservice.Manager) Step {
	return Step{
		Name: "remove the registration with the service manager",
		Done: func() (bool, error) {
			state, err := m.State()
			return state == osservice.NotInstalled, err
		},
		Do: m.Uninstall,
	}
}

// removeStep removes a folder or file with all that is in it.
func removeStep(what, path string) Step {
	return Step{
		Name: fmt.Sprintf("remove %s %q", what, path),
		Done: func() (bool, error) {
			found, err := exists(path)
			return !found, err
		},
		Do: func() error { return os.RemoveAll(path) },
	}
}

// removeConfigStep removes a config that isn't in a folder of ours. It keeps a file that isn't a
// config, or a config with mistakes: --config may be misspelt and name any file.
func removeConfigStep(path string) Step {
	s := removeStep("config", path)
	s.Extra = true
	s.Check = func() error {
		if _, err := loadConfig(path); err != nil {
			return fmt.Errorf("%q is kept, as it doesn't look like a config of tlstunnel: %w", path, err)
		}
		return nil
	}
	s.Do = func() error { return os.Remove(path) }
	return s
}

func exists(path string) (bool, error) {
	_, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}

func removeFiles(files []string) error {
	var failed error
	for _, file := range files {
		failed = errors.Join(failed, filerights.AsOwner(file, func() error { return os.Remove(file) }))
	}
	return failed
}
