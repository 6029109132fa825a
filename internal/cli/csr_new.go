package cli

import (
	"cmp"
	"fmt"

	"github.com/spf13/cobra"

	"tlstunnel/internal/dn"
	"tlstunnel/pki"
)

func (a *app) csrNewCommand() *cobra.Command {
	var f issueFlags
	var subject dn.Subject
	cmd := &cobra.Command{
		Use:   "new NAME",
		Short: "Make a key and a request to another CA",
		Long: `Make a key and a certificate request for a CA that isn't ours: NAME.key and NAME.csr.
Send NAME.csr to the CA. NAME.key is secret and stays here; nothing is overwritten.
What the CA sends back is for ` + "`tlstunnel cert install`" + `. The subject is pki.subject of
the config, as far as no flag says otherwise. Without --dns, --ip, --uri and --email
the common name is also a DNS name or IP address, if it has the form of one.`,
		Example: "  tlstunnel csr new pacs --common-name pacs.clinic.example\n  tlstunnel csr new pacs --dns pacs.clinic.example --ip 192.0.2.7 --key-type rsa-3072",
		Args:    oneArg,
		RunE:    func(_ *cobra.Command, args []string) error { return a.csrNew(args[0], subject, f) },
	}
	flags := cmd.Flags()
	flags.StringVar(&subject.CommonName, "common-name", "", "the common `name` (default: NAME)")
	flags.StringVar(&subject.Organization, "organization", "", "the `name` of the organization")
	flags.StringVar(&subject.OrganizationalUnit, "organizational-unit", "", "the `name` of the department")
	flags.StringVar(&subject.Country, "country", "", "the `code` of the country, two letters")
	flags.StringVar(&subject.State, "state", "", "the `name` of the state")
	flags.StringVar(&subject.Locality, "locality", "", "the `name` of the town")
	f.addNames(flags)
	flags.StringVar(&f.keyType, "key-type", "", "the `type` of the key (default: key_type in the config)")
	flags.StringVar(&f.out, "out", ".", "the `folder` for the files")
	return cmd
}

func (a *app) csrNew(name string, subject dn.Subject, f issueFlags) error {
	cfg, _, err := a.loadConfig()
	if err != nil {
		return err
	}
	r, err := f.request(name, cfg)
	if err != nil {
		return err
	}
	r.Subject = dn.Subject{
		CommonName:         subject.CommonName,
		Organization:       cmp.Or(subject.Organization, r.Subject.Organization),
		OrganizationalUnit: cmp.Or(subject.OrganizationalUnit, r.Subject.OrganizationalUnit),
		Country:            cmp.Or(subject.Country, r.Subject.Country),
		State:              cmp.Or(subject.State, r.Subject.State),
		Locality:           cmp.Or(subject.Locality, r.Subject.Locality),
	}
	files, err := pki.NewCSR(r, cmp.Or(f.keyType, cfg.PKI.KeyType), f.out, cfg.PKI.Dir)
	if err != nil {
		return err
	}
	for _, file := range files {
		fmt.Fprintf(a.stdout, "created %s\n", file)
	}
	return nil
}
