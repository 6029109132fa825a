package cli

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/url"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

// issueFlags are the flags of `cert issue`.
type issueFlags struct {
	server, client      bool
	dns, ip, uri, email []string
	days                int
	keyType, out        string

	p12, legacy, generate bool
	passwordFile          string
	password              string // from passwordFile, generate or the terminal
}

func (a *app) certIssueCommand() *cobra.Command {
	var f issueFlags
	cmd := &cobra.Command{
		Use:   "issue NAME",
		Short: "Make a key and a certificate for a server or a client",
		Long: `Make a key and a certificate from the program's own CA, for another machine or
program: NAME.key and NAME.crt, in which the CA's certificate follows. NAME is the
certificate's common name and, with --server, one of its DNS names or IP addresses. Of
a DNS name of more than 64 letters the common name is the first part.
Nothing is overwritten. NAME.key is secret: move it to where it is used, and leave
no copy.

With --p12 it also writes NAME.p12 (PKCS#12), with the key and the certificates in one
file, as Windows, Java and many devices want it. A password encrypts it. The command
asks for the password, makes it, or reads it from a file. Send file and password in
different ways.`,
		Example: "  tlstunnel cert issue modality-7 --client\n  tlstunnel cert issue pacs.clinic.example --server --ip 192.0.2.7 --out /root/pacs\n  tlstunnel cert issue workstation-3 --client --p12 --generate-password",
		Args: func(cmd *cobra.Command, args []string) error {
			if err := oneArg(cmd, args); err != nil {
				return err
			}
			return f.check()
		},
		RunE: func(cmd *cobra.Command, args []string) error { return a.certIssue(cmd.Context(), args[0], f) },
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.server, "server", false, "for a server")
	flags.BoolVar(&f.client, "client", false, "for a client")
	f.addNames(flags)
	flags.IntVar(&f.days, "days", 0, "how many `days` it is valid (default: cert_validity in the config)")
	flags.StringVar(&f.keyType, "key-type", "", "the `type` of the key (default: key_type in the config)")
	flags.StringVar(&f.out, "out", ".", "the `folder` for the files")
	f.addPassword(flags, "NAME.p12")
	return cmd
}

// addPassword adds the flags about the PKCS#12 file and its password. Their help names the file.
func (f *issueFlags) addPassword(flags *pflag.FlagSet, file string) {
	flags.BoolVar(&f.p12, "p12", false, "also write "+file+", with a password")
	flags.BoolVar(&f.legacy, "legacy", false, file+" for old Windows and Java, with weaker encryption")
	flags.StringVar(&f.passwordFile, "password-file", "", "read the password of "+file+" from this `file`, instead of asking for it")
	flags.BoolVar(&f.generate, "generate-password", false, "make a password for "+file+", and show it once")
}

func (f *issueFlags) addNames(flags *pflag.FlagSet) {
	flags.StringSliceVar(&f.dns, "dns", nil, "a DNS `name`; may be repeated, as may the next three")
	flags.StringSliceVar(&f.ip, "ip", nil, "an IP `address`")
	flags.StringSliceVar(&f.uri, "uri", nil, "a `URI`")
	flags.StringSliceVar(&f.email, "email", nil, "an email `address`")
}

// check returns an error if the flags don't fit together.
func (f issueFlags) check() error {
	if !f.server && !f.client {
		return errors.New("say what the certificate is for: --server, --client or both")
	}
	return f.checkPassword("NAME.p12")
}

func (f issueFlags) checkPassword(file string) error {
	switch {
	case !f.p12 && (f.legacy || f.generate || f.passwordFile != ""):
		return fmt.Errorf("--legacy, --password-file and --generate-password are about %s: add --p12", file)
	case f.generate && f.passwordFile != "":
		return errors.New("--password-file and --generate-password contradict each other: give one of them")
	}
	return nil
}

func (a *app) certIssue(ctx context.Context, name string, f issueFlags) error {
	cfg, err := a.loadForCA()
	if err != nil {
		return err
	}
	request, err := f.request(name, cfg)
	if err != nil {
		return err
	}
	if f.p12 {
		if f.password, err = a.newPassword(f); err != nil {
			return err
		}
		request.PKCS12 = &pki.PKCS12{Password: f.password, Legacy: f.legacy}
	}
	now := time.Now()
	authority, err := pki.OpenAuthority(ctx, cfg.PKI.Dir, now)
	if err != nil {
		return err
	}
	defer authority.Close()
	cert, files, err := authority.Issue(request, cmp.Or(f.keyType, cfg.PKI.KeyType), f.out)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(a.stdout, "created %s\n", file)
	}
	a.showGenerated(f, name+".p12")
	a.warnOfLife(cert, f.server)
	return certfile.Describe(cert, now).WriteText(a.stdout)
}

// warnOfLife warns if a server certificate is valid for longer than some clients allow.
func (a *app) warnOfLife(cert *x509.Certificate, server bool) {
	if text := pki.TooLongForApple(cert.NotAfter.Sub(cert.NotBefore)); server && text != "" {
		a.complain(errors.New("warning: " + text))
	}
}

func (f issueFlags) request(name string, cfg *config.Config) (pki.Request, error) {
	s := cfg.PKI.Subject
	r := pki.Request{
		Name: name,
		Subject: dn.Subject{
			Country: s.Country, State: s.State, Locality: s.Locality,
			Organization: s.Organization, OrganizationalUnit: s.OrganizationalUnit,
		},
		Server: f.server, Client: f.client,
		DNSNames: f.dns, EmailAddresses: f.email,
		Validity: validity(f.days, cfg), Exact: f.days != 0,
	}
	for _, text := range f.ip {
		ip := net.ParseIP(text)
		if ip == nil {
			return r, fmt.Errorf("%q isn't an IP address", text)
		}
		r.IPAddresses = append(r.IPAddresses, ip)
	}
	for _, text := range f.uri {
		uri, err := url.Parse(text)
		if err != nil {
			return r, fmt.Errorf("%q isn't a URI such as \"urn:modality:7\"", text)
		}
		r.URIs = append(r.URIs, uri)
	}
	return r, nil
}

const maxDays = 200 * 366 // longer than any CA; much more would overflow a time.Duration

func validity(days int, cfg *config.Config) time.Duration {
	if days == 0 {
		return cfg.PKI.CertValidity
	}
	return time.Duration(min(days, maxDays)) * 24 * time.Hour
}
