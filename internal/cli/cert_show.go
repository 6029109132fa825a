package cli

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/config"
	"tlstunnel/pki/certfile"
	"tlstunnel/service/compile"
)

// shownCertificates is the JSON of `cert show` and `ca show`.
type shownCertificates struct {
	From         string                 `json:"from"`
	Certificates []certfile.Description `json:"certificates"`
	Server       *shownServer           `json:"server,omitempty"`
}

func (a *app) certShowCommand() *cobra.Command {
	var passwordFile string
	var query serverQuery
	cmd := a.addJSON(&cobra.Command{
		Use:   "show FILE|TUNNEL|HOST:PORT",
		Short: "Show every part of a certificate",
		Long: `Show every part of the certificates in a file (PEM, DER, PKCS#7 or PKCS#12), of a
tunnel of the config, or of what a server really sends. For a server it also shows
which CAs would make it trusted, or why none does.`,
		Example: `  tlstunnel cert show ./pacs.p12 --password-file ./password.txt
  tlstunnel cert show pacs
  tlstunnel cert show pacs.clinic.example:2762 --ca ./clinic-ca.crt`,
		Args: oneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			what := args[0]
			if _, err := os.Stat(what); err == nil {
				return a.showFile(what, passwordFile)
			}
			if host, port, err := net.SplitHostPort(what); err == nil && host != "" && isPort(port) {
				query.address = what
				return a.showServer(cmd.Context(), query)
			}
			if filepath.Base(what) != what || filepath.Ext(what) != "" && a.tunnelNamed(what) == nil {
				return a.showFile(what, passwordFile) // the error says that the file doesn't exist
			}
			return a.showTunnel(what)
		},
	})
	cmd.Flags().StringVar(&passwordFile, "password-file", "", "the `file` with the password of an encrypted FILE")
	cmd.Flags().StringVar(&query.ca, "ca", "", "a `file` of CAs: would they make a client trust HOST:PORT?")
	cmd.Flags().StringVar(&query.serverName, "server-name", "", "the `name` that HOST:PORT must have (default: HOST)")
	cmd.Flags().DurationVar(&query.timeout, "timeout", 10*time.Second, "how long HOST:PORT may take")
	return cmd
}

func isPort(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && 0 < n && n < 65536
}

func (a *app) caShowCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:     "show",
		Short:   "Show every part of the CA's certificate",
		Example: "  tlstunnel ca show\n  tlstunnel ca show --json",
		Args:    cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			cas, err := a.ownCAs()
			if err != nil {
				return err
			}
			return a.showCertificates("the CA of this machine", cas, nil)
		},
	})
}

func (a *app) showFile(file, passwordFile string) error {
	certs, err := certfile.ReadToShow(file, passwordFile)
	if err != nil {
		return err
	}
	return a.showCertificates(file, certs, nil)
}

// tunnelNamed returns the tunnel with that name, if the config can be read.
func (a *app) tunnelNamed(name string) *config.Tunnel {
	cfg, _, _ := a.loadConfig()
	if cfg == nil {
		return nil
	}
	i := slices.IndexFunc(cfg.Tunnels, func(t config.Tunnel) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &cfg.Tunnels[i]
}

func (a *app) showTunnel(name string) error {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return fmt.Errorf("%q is no file and no HOST:PORT, and whether a tunnel has that name can't be read: %w", name, err)
	}
	t := a.tunnelNamed(name)
	if t == nil {
		return fmt.Errorf("%q is neither a file, nor HOST:PORT, nor a tunnel in %q: `tlstunnel status` lists the tunnels", name, cfg.File)
	}
	file := compile.CertFile(cfg, *t)
	_, err = os.Stat(file)
	switch {
	case file == "":
		return fmt.Errorf("tunnel %q shows no certificate: it has mode = \"client\" and no cert; to see what its server sends, run `tlstunnel cert show %s`", name, t.Target[0])
	case t.ACME.Enabled() && errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("tunnel %q has no certificate from its public CA yet: `tlstunnel status` says why", name)
	}
	return a.showFile(file, t.KeyPasswordFile)
}

// showCertificates shows certs. If a server sent them, server is what else is known of it,
// otherwise nil.
func (a *app) showCertificates(from string, certs []*x509.Certificate, server *shownServer) error {
	answer := shownCertificates{From: from, Server: server}
	for _, cert := range certs {
		answer.Certificates = append(answer.Certificates, certfile.Describe(cert, time.Now()))
	}
	if a.json {
		return a.answerJSON(answer)
	}
	for i, description := range answer.Certificates {
		if i > 0 {
			fmt.Fprintln(a.stdout)
		}
		if len(certs) > 1 {
			fmt.Fprintf(a.stdout, "certificate %d of %d\n", i+1, len(certs))
		}
		if err := description.WriteText(a.stdout); err != nil {
			return err
		}
	}
	if server != nil {
		return server.writeText(a.stdout)
	}
	return nil
}
