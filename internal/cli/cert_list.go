package cli

import (
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"tlstunnel/internal/date"
	"tlstunnel/internal/quote"
	"tlstunnel/pki"
)

func (a *app) certListCommand() *cobra.Command {
	return a.addJSON(&cobra.Command{
		Use:     "list",
		Short:   "List all certificates that the CA has issued",
		Long:    "List all certificates that the program's own CA has issued, in that order: whether\neach is valid, expired or revoked, until when it is valid, its serial number and name.",
		Example: "  tlstunnel cert list\n  tlstunnel cert list --json",
		Args:    cobra.NoArgs,
		RunE:    func(*cobra.Command, []string) error { return a.certList() },
	})
}

// listedCertificate is a certificate in the JSON of `cert list`.
type listedCertificate struct {
	State string `json:"state"`
	pki.Issued
}

func (a *app) certList() error {
	cfg, err := a.loadForCA()
	if err != nil {
		return err
	}
	index, err := pki.ReadIndex(cfg.PKI.Dir)
	if err != nil {
		return err
	}
	now := time.Now()
	if a.json {
		listed := make([]listedCertificate, 0, len(index))
		for _, i := range index {
			listed = append(listed, listedCertificate{i.State(now), i})
		}
		return a.answerJSON(listed)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "STATE\tUNTIL\tSERIAL\tNAME\tSUBJECT")
	for _, i := range index {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.State(now), date.Day(i.NotAfter), quote.Text(i.Serial), quote.Text(i.Name), quote.Text(i.Subject))
	}
	return w.Flush()
}
