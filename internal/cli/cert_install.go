package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/internal/control"
	"tlstunnel/pki"
	"tlstunnel/service"
)

func (a *app) certInstallCommand() *cobra.Command {
	var source pki.Source
	var tunnel string
	cmd := &cobra.Command{
		Use:   "install FILE",
		Short: "Put a certificate from a CA where a tunnel uses it",
		Long: `Put a certificate that a CA has sent into the files that cert and key of a tunnel
name, and make the running service take it. FILE may be PEM, DER, PKCS#7 or PKCS#12,
with the chain in any order. Before it writes anything, it checks the key, the chain,
dates, names and use. The key is in FILE, in a file beside it that ends in .key,
or the one that the tunnel has.`,
		Example: `  tlstunnel cert install ./pacs-from-ca.p7b --key ./pacs.key
  tlstunnel cert install ./pacs.p12 --password-file ./password.txt --tunnel pacs`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			source.File = args[0]
			return a.certInstall(cmd.Context(), source, tunnel)
		},
	}
	cmd.Flags().StringVar(&source.KeyFile, "key", "", "the `file` with the private key")
	cmd.Flags().StringVar(&source.PasswordFile, "password-file", "", "the `file` with the password of an encrypted FILE or key")
	cmd.Flags().StringVar(&tunnel, "tunnel", "", "the `name` of the tunnel (default: the only one with cert)")
	return cmd
}

func (a *app) certInstall(ctx context.Context, source pki.Source, name string) error {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return err
	}
	t, err := tunnelToInstall(cfg, name)
	if err != nil {
		return err
	}
	place := pki.Place{CertFile: t.Cert, KeyFile: cmp.Or(t.Key, t.Cert), PasswordFile: t.KeyPasswordFile, Client: t.Mode == config.ModeClient}
	installation, err := pki.PrepareInstall(source, place, time.Now())
	if err != nil {
		a.complain(adviseRoot(err))
		a.hint("nothing was changed")
		return errReported
	}
	files, err := installation.Install(ctx, cfg.PKI.Dir)
	if err != nil {
		return adviseRoot(err)
	}
	for _, file := range files {
		fmt.Fprintf(a.stdout, "wrote %s\n", file)
	}
	for _, note := range installation.Notes {
		a.hint(note)
	}
	_, err = service.AskReload(ctx, cfg.File, false)
	switch {
	case errors.Is(err, control.ErrNotRunning):
		fmt.Fprintf(a.stdout, "installed for tunnel %q; the service isn't running and takes it when it starts\n", t.Name)
		return nil
	case err != nil:
		return fmt.Errorf("the files are in their place, but the service goes on with the old ones: %w", err)
	}
	fmt.Fprintf(a.stdout, "installed for tunnel %q; the service uses it for new connections\n", t.Name)
	return nil
}

// tunnelToInstall returns the tunnel with that name. Without a name it returns the only tunnel with
// files of its own.
func tunnelToInstall(cfg *config.Config, name string) (*config.Tunnel, error) {
	hasFiles := func(t config.Tunnel) bool { return t.Cert != "" && t.Cert != config.Own }
	var names []string
	for _, t := range cfg.Tunnels {
		if hasFiles(t) {
			names = append(names, t.Name)
		}
	}
	switch {
	case name == "" && len(names) == 1:
		name = names[0]
	case name == "" && len(names) > 1:
		return nil, fmt.Errorf("several tunnels have a certificate of their own, %s: say with --tunnel which is meant", strings.Join(names, ", "))
	case name == "":
		return nil, fmt.Errorf("no tunnel in %q has a certificate of its own: add two lines to one, such as cert = \"pacs.crt\" and key = \"pacs.key\", and install it again", cfg.File)
	}
	i := slices.IndexFunc(cfg.Tunnels, func(t config.Tunnel) bool { return t.Name == name })
	if i < 0 {
		return nil, fmt.Errorf("there is no tunnel %q in %q", name, cfg.File)
	}
	t := &cfg.Tunnels[i]
	switch {
	case !hasFiles(*t):
		return nil, fmt.Errorf("tunnel %q has no certificate of its own to replace: add two lines to it, cert = \"%s.crt\" and key = \"%s.key\", and install it again", name, name, name)
	case t.Key == "" && isPKCS12(t.Cert):
		return nil, fmt.Errorf("tunnel %q takes certificate and key from the PKCS#12 file %q: put the new one in its place yourself, and run `tlstunnel reload`; or name two PEM files with cert and key", name, t.Cert)
	}
	return t, nil
}

// isPKCS12 decides by the name of the file, since the file may not exist yet.
func isPKCS12(file string) bool {
	name := strings.ToLower(file)
	return strings.HasSuffix(name, ".p12") || strings.HasSuffix(name, ".pfx")
}
