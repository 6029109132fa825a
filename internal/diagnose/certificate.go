package diagnose

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"time"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/quote"
)

// A Refusal is why tlstunnel itself refuses what the other side shows: a row of the table,
// which doesn't yet say which side that is. As an error, it says so to crypto/tls.
type Refusal struct {
	Code   string
	Values []string // as New takes them
	Text   string   // of the error
}

func (r *Refusal) Error() string { return r.Text }

// Of makes it the diagnosis of a side. values are more of them.
func (r *Refusal) Of(side string, values ...string) Diagnosis {
	return New(r.Code, append(append(values, "side", side), r.Values...)...)
}

// untrusted says what is wrong with a certificate that crypto/x509 didn't accept, and what
// would make it acceptable.
func (h *Handshake) untrusted(v *tls.CertificateVerificationError) Diagnosis {
	leaf := v.UnverifiedCertificates[0]
	switch {
	case !errors.As(v.Err, new(x509.HostnameError)):
		return h.fault(h.judge().Explain(v.UnverifiedCertificates, v.Err))
	case len(leaf.DNSNames)+len(leaf.IPAddresses) == 0:
		return h.new("*.without_name", "name", strconv.Quote(h.Config.ServerName), "subject", strconv.Quote(dn.Text(leaf.Subject)))
	default:
		return h.new("*.other_name", "name", strconv.Quote(h.Config.ServerName), "names", names(leaf))
	}
}

// fault is for what package chain says of a chain: its words are those of the row.
func (h *Handshake) fault(f *chain.Fault) Diagnosis {
	d := h.new("*." + f.Code)
	d.What, d.Remedy = quote.Fill(refused, "side", h.Side)+f.What, f.Remedy
	return d
}

// judge verifies what the other side shows as crypto/tls does.
func (h *Handshake) judge() chain.Judge {
	j := chain.Judge{
		Roots: h.Config.RootCAs, Trusted: h.Trusted, Usage: x509.ExtKeyUsageServerAuth, Now: time.Now(),
		Whose: "the " + h.Side, List: "ca of this tunnel",
	}
	if h.Side == Peer {
		j.Roots, j.Usage, j.List = h.Config.ClientCAs, x509.ExtKeyUsageClientAuth, "client_ca of this tunnel"
	}
	return j
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
	return quote.Few(all, 10)
}

// ours is the chain that we show, as it stands in its file; nil if there is none.
func (h *Handshake) ours() []*x509.Certificate {
	shown := h.Shown
	switch {
	case shown != nil:
	case len(h.Config.Certificates) > 0:
		shown = &h.Config.Certificates[0]
	case h.Side == Peer && h.Config.GetCertificate != nil:
		shown, _ = h.Config.GetCertificate(new(tls.ClientHelloInfo))
	}
	if shown == nil {
		return nil
	}
	return parseChain(*shown)
}

func parseChain(pair tls.Certificate) (certs []*x509.Certificate) {
	for _, der := range pair.Certificate {
		if cert, err := x509.ParseCertificate(der); err == nil {
			certs = append(certs, cert)
		}
	}
	return certs
}

// ourFault is what the file of our own certificate shows to be wrong with it, or nil.
func (h *Handshake) ourFault() *chain.Fault {
	own := chain.Own{Chain: h.ours(), Usage: x509.ExtKeyUsageServerAuth, Now: time.Now()}
	if h.Side != Peer {
		own.Usage = x509.ExtKeyUsageClientAuth
	}
	if len(own.Chain) == 0 {
		return nil
	}
	if faults := own.Faults(); len(faults) > 0 {
		return faults[0]
	}
	return own.OutOfDate()
}

// byItsFile goes on after the guess that the other side doesn't trust our certificate.
func (h *Handshake) byItsFile() string {
	if fault := h.ourFault(); fault != nil {
		return ", and of ours, " + fault.Error()
	}
	return ""
}

// ourSigner names the CA of the certificate that we showed.
func (h *Handshake) ourSigner() string {
	if ours := h.ours(); len(ours) > 0 {
		return chain.Signer(ours)
	}
	return "its CA"
}
