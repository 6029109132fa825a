package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

func (a *app) csrSignCommand() *cobra.Command {
	var f issueFlags
	var name string
	var yes bool
	cmd := &cobra.Command{
		Use:   "sign FILE",
		Short: "Make a certificate from a partner's request",
		Long: `Show what a partner's certificate request (PEM or DER) asks for, ask whether that is
right, and make a certificate from it with the program's own CA: NAME.crt, in which
the CA's certificate follows. NAME is the request's common name or its first name.
Subject, names and key are those of the request; nothing else of it is copied, and the
certificate is never that of a CA. Nothing is overwritten.`,
		Example: "  tlstunnel csr sign ./partner.csr --client\n  tlstunnel csr sign ./partner.csr --server --days 90 --name partner-pacs --yes",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneArg(cmd, args); err != nil {
				return err
			}
			return f.check()
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.csrSign(cmd.Context(), args[0], name, yes, f)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.server, "server", false, "for a server")
	flags.BoolVar(&f.client, "client", false, "for a client")
	flags.IntVar(&f.days, "days", 0, "how many `days` it is valid (default: cert_validity in the config)")
	flags.StringVar(&name, "name", "", "the `name` of the certificate in the index, and of its file")
	flags.StringVar(&f.out, "out", ".", "the `folder` for the file")
	flags.BoolVar(&yes, "yes", false, "don't ask")
	return cmd
}

func (a *app) csrSign(ctx context.Context, file, name string, yes bool, f issueFlags) error {
	cfg, err := a.loadForCA()
	if err != nil {
		return err
	}
	request, err := f.request(name, cfg)
	if err != nil {
		return err
	}
	csr, err := certfile.ReadCSR(file)
	if err != nil {
		return err
	}
	if err := certfile.CheckCSR(csr); err != nil {
		return fmt.Errorf("%q: %w", file, err)
	}
	if err := certfile.DescribeCSR(csr).WriteText(a.stdout); err != nil {
		return err
	}
	if !yes {
		if err := a.askToSign(); err != nil {
			return err
		}
	}
	now := time.Now()
	authority, err := pki.OpenAuthority(ctx, cfg.PKI.Dir, now)
	if err != nil {
		return err
	}
	defer authority.Close()
	cert, created, err := authority.SignCSR(csr, request, f.out)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\ncreated %s\n", created)
	a.warnOfLife(cert, f.server)
	return certfile.Describe(cert, now).WriteText(a.stdout)
}

func (a *app) askToSign() error {
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return errors.New("there is no terminal to ask whether to sign this: look at it, and use --yes")
	}
	fmt.Fprint(a.stderr, "tlstunnel: is that the partner's request, and all right? sign it? [y/N] ")
	answer, _ := bufio.NewReader(os.Stdin).ReadString('\n') // the end of stdin isn't a yes
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not signed: the answer wasn't yes")
}
