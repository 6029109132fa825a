package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"

	"tlstunnel/internal/dn"
)

// whyRefused says what is wrong with a certificate that we didn't accept, and
// what would make it acceptable.
func (t *terms) whyRefused(v *tls.CertificateVerificationError) string {
	leaf := v.UnverifiedCertificates[0]
	if !errors.As(v.Err, new(x509.HostnameError)) {
		return t.judge().Explain(v.UnverifiedCertificates, v.Err).Error()
	}
	remedy := "set server_name to a name of its certificate, "
	if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
		remedy = ""
	}
	return fmt.Sprintf("expected the name %q, but it is for %s; if this is the right machine, %shave this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)",
		t.config.ServerName, names(leaf), remedy)
}

// names lists the names in a certificate, ten at the most.
func names(cert *x509.Certificate) string {
	var all []string
	for _, n := range cert.DNSNames {
		all = append(all, fmt.Sprintf("%q", n))
	}
	for _, ip := range cert.IPAddresses {
		all = append(all, ip.String())
	}
	if len(all) == 0 {
		return fmt.Sprintf("no name at all (only the subject %q, which doesn't count)", dn.Text(cert.Subject))
	}
	return listed(all, 10)
}
