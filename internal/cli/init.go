package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/dn"
	"tlstunnel/service"
)

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init",
		Short: "Write a commented config and make the CA and certificate, if absent",
		Long: `Write a commented config, and make the CA and the server certificate as its [pki]
table says. What exists already is kept as it is. A PKI that is gone is made anew by
init alone, with another CA, which every client then needs.`,
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
	store, created, err := service.MakePKI(ctx, cfg)
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
Give ca.crt to the other side. Keep ca.key to yourself: whoever has it can pose
as any of your servers.
`, dn.Fingerprint(store.CA))
	return nil
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
