package installer

import (
	"context"

	"tlstunnel/internal/config"
)

// Options say what an installation installs. All paths are absolute.
type Options struct {
	Program string // the executable that runs now
	Config  string
	Example []byte // written as the config if there is none

	// Purge makes an uninstallation remove config, PKI and logs, too.
	Purge bool
}

// InstallSteps returns the steps of `tlstunnel install`, in their order. An error means that this
// machine can't have the service.
func InstallSteps(ctx context.Context, o Options) ([]Step, error) { return installSteps(ctx, o) }

// UninstallSteps returns the steps of `tlstunnel uninstall`. None of them can be undone.
func UninstallSteps(ctx context.Context, o Options) ([]Step, error) { return uninstallSteps(ctx, o) }

// Kept returns what an uninstallation without purge leaves on the machine.
func Kept(o Options) []string {
	paths := config.DefaultPaths()
	paths.Config = o.Config
	if cfg, _ := loadConfig(o.Config); cfg != nil {
		paths.PKI, paths.Log = cfg.PKI.Dir, cfg.Log.File
	}
	kept := []string{paths.Config, paths.PKI}
	if paths.Log != config.Console {
		kept = append(kept, paths.Log)
	}
	return kept
}

func loadConfig(file string) (*config.Config, error) {
	cfg, problems, err := config.Load(file)
	if err == nil {
		err = problems.Err()
	}
	return cfg, err
}
