package diagnose

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"slices"
	"strings"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/quote"
)

// Unsent says why a target that asked for a client certificate got none of config. crypto/tls
// sends none if it has none that the target takes, and says nothing.
func Unsent(asked *tls.CertificateRequestInfo, config *tls.Config) *Diagnosis {
	d := New("*.wants_certificate", "side", Target)
	if len(config.Certificates) == 0 {
		return &d
	}
	ours := parseChain(config.Certificates[0])
	isWanted := func(cert *x509.Certificate) bool {
		return slices.ContainsFunc(asked.AcceptableCAs, func(ca []byte) bool { return bytes.Equal(ca, cert.RawIssuer) })
	}
	if len(asked.AcceptableCAs) > 0 && !slices.ContainsFunc(ours, isWanted) {
		d = New("target.wants_other_ca", "theirs", quoteCAs(asked.AcceptableCAs), "ours", chain.Signer(ours))
		return &d
	}
	kinds := kindsOfSchemes(asked.SignatureSchemes, asked.Version == tls.VersionTLS13)
	d = New("target.wants_other_key", "ours", withArticle(kindOf(ours[0].PublicKey)), "wanted", withArticle(strings.Join(kinds, " or ")))
	return &d
}

// quoteCAs lists the names that a server sent, five at the most.
func quoteCAs(names [][]byte) string {
	var all []string
	for _, der := range names {
		var sequence pkix.RDNSequence
		var name pkix.Name
		if _, err := asn1.Unmarshal(der, &sequence); err == nil {
			name.FillFromRDNSequence(&sequence)
		}
		all = append(all, fmt.Sprintf("%q", quote.Clip(dn.Text(name), 100)))
	}
	return quote.Few(all, 5)
}
