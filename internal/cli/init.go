package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/osservice"
	"tlstunnel/internal/ownpki"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented config and make the CA and certificate, if absent",
		Long: `Write a commented config, and make the CA and the server certificate as its [pki]
table says. What exists already is kept as it is. If the PKI is gone, only init makes it
anew, with another CA, which every client then needs.`,
		Example: "  tlstunnel init --config ./config.toml",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.init(cmd.Context()) },
	}
}

func (a *app) init(ctx context.Context) error {
	if err := a.forgotSudo(); err != nil {
		return err
	}
	wrote, err := a.writeExample()
	if err != nil {
		return err
	}
	cfg, _, err := a.loadConfig()
	if err != nil {
		return err
	}
	if !wrote {
		fmt.Fprintf(a.stdout, "kept   %s\n", a.configFile)
	}
	store, created, err := ownpki.Make(ctx, cfg)
	if err != nil {
		return err
	}
	for _, file := range created {
		fmt.Fprintf(a.stdout, "made   %s\n", file)
	}
	if len(created) == 0 {
		fmt.Fprintf(a.stdout, "kept   %s\n", store.Dir)
	}
	fmt.Fprintf(a.stdout, `
CA fingerprint (SHA-256): %s
Give ca.crt to the other side. Keep ca.key to yourself: somebody who has it can
pose as any of your servers.

Now put your tunnels into
%s, then:

`, dn.Fingerprint(store.CA), a.configFile)
	a.showCommands("check", a.nextCommand())
	return nil
}

// nextCommand returns the command that makes tlstunnel use the config. If the config is that of the
// installed service, it is a command for the service.
func (a *app) nextCommand() string {
	if file, err := filepath.Abs(a.configFile); err != nil || file != config.SystemConfig() {
		return "run"
	}
	switch state, err := new(osservice.Manager).State(); {
	case err != nil:
		return "run" // there is no service manager to ask
	case state == osservice.NotInstalled:
		return "install"
	case state == osservice.Running:
		return "reload"
	default:
		return "start"
	}
}

// showCommands shows commands with the same sudo and --config as this command had.
func (a *app) showCommands(names ...string) {
	sudo, config := "", ""
	if os.Getenv("SUDO_USER") != "" {
		sudo = "sudo "
	}
	if a.configGiven {
		config = " --config " + a.configFile
		if strings.Contains(a.configFile, " ") {
			config = ` --config "` + a.configFile + `"`
		}
	}
	for _, name := range names {
		fmt.Fprintf(a.stdout, "  %stlstunnel %s%s\n", sudo, name, config)
	}
}

// writeExample writes the commented config if there is none.
func (a *app) writeExample() (wrote bool, err error) {
	if err := atomicfile.MkdirAll(filepath.Dir(a.configFile), atomicfile.Public); err != nil {
		return false, err
	}
	err = atomicfile.Create(a.configFile, a.example, atomicfile.Group)
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	fmt.Fprintf(a.stdout, "wrote  %s\n", a.configFile)
	return true, nil
}
