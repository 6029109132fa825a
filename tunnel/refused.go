package tunnel

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"time"

	"tlstunnel/internal/dn"
)

// whyRefused says what is wrong with a certificate that we didn't accept, and
// what would make it acceptable. expected is the name that it should have had.
func whyRefused(v *tls.CertificateVerificationError, who, expected string) string {
	leaf := v.UnverifiedCertificates[0]
	var (
		name    x509.HostnameError
		unknown x509.UnknownAuthorityError
		invalid x509.CertificateInvalidError
	)
	switch {
	case errors.As(v.Err, &name):
		remedy := "set server_name to a name of its certificate, or have this name added to it"
		if len(leaf.DNSNames)+len(leaf.IPAddresses) == 0 {
			remedy = "have this name added to its certificate"
		}
		return fmt.Sprintf("expected the name %q, but it is for %s; if this is the right machine, %s", expected, names(leaf), remedy)
	case errors.As(v.Err, &unknown):
		list := "ca"
		if who == byPeer {
			list = "client_ca"
		}
		return fmt.Sprintf("%s isn't trusted here; if you trust it, add its certificate to %s of this tunnel", signer(v.UnverifiedCertificates), list)
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.Expired: // or not yet valid
		bad, remedy := invalid.Cert, "renew it, or set this machine's clock right"
		if time.Now().Before(bad.NotBefore) {
			remedy = "set this machine's clock right, or wait"
		}
		return fmt.Sprintf("%q is valid from %s to %s, and here it is %s: %s",
			dn.Text(bad.Subject), day(bad.NotBefore), day(bad.NotAfter), day(time.Now()), remedy)
	case errors.As(v.Err, &invalid) && invalid.Reason == x509.IncompatibleUsage:
		return "it isn't meant for this use (extended key usage): a server needs serverAuth, a client clientAuth"
	default:
		return v.Err.Error()
	}
}

// signer names the CA that would have to be trusted for chain to be.
func signer(chain []*x509.Certificate) string {
	top := chain[len(chain)-1]
	switch {
	case !bytes.Equal(top.RawIssuer, top.RawSubject):
		return fmt.Sprintf("the CA %q (key id %x; it wasn't sent along, so its fingerprint isn't known)", dn.Text(top.Issuer), top.AuthorityKeyId)
	case len(chain) == 1:
		return fmt.Sprintf("the self-signed certificate %q (SHA-256 %s)", dn.Text(top.Subject), fingerprint(top.Raw))
	default:
		return fmt.Sprintf("the CA %q (SHA-256 %s)", dn.Text(top.Subject), fingerprint(top.Raw))
	}
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
	switch {
	case len(all) == 0:
		return fmt.Sprintf("no name at all (only the subject %q, which doesn't count)", dn.Text(cert.Subject))
	case len(all) > 10:
		return fmt.Sprintf("%s and %d others", strings.Join(all[:10], ", "), len(all)-10)
	default:
		return strings.Join(all, ", ")
	}
}

// fingerprint is the SHA-256 of a certificate as people compare it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

func day(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 MST") }
