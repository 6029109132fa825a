// Package chain says why a chain of certificates isn't accepted, one's own and that
// of peers, and how to repair it. It reads no file, and writes and logs nothing.
//
//	judge := chain.Judge{Roots: pool, Trusted: cas, Usage: x509.ExtKeyUsageServerAuth, ...}
//	fault := judge.Verify(sent) // nil: accepted
//	fault.Code                  // missing_intermediate
//	fault.What                  // the certificate of "CN=Issuing 1", which issued "CN=pacs", wasn't sent
//	fault.Remedy                // the target's administrator adds it to the file of its certificate, ...
package chain

import (
	"bytes"
	"crypto/x509"
	"fmt"
	"slices"

	"tlstunnel/internal/dn"
)

// IsCA reports whether cert is that of a CA.
func IsCA(cert *x509.Certificate) bool { return cert.BasicConstraintsValid && cert.IsCA }

// SelfSigned reports whether cert is signed with its own key.
func SelfSigned(cert *x509.Certificate) bool { return SignedBy(cert, cert) }

// SignedBy reports whether signer has signed cert, even if signer isn't a CA.
func SignedBy(cert, signer *x509.Certificate) bool {
	return bytes.Equal(signer.RawSubject, cert.RawIssuer) && signedWithKeyOf(cert, signer)
}

func signedWithKeyOf(cert, signer *x509.Certificate) bool {
	return signer.CheckSignature(cert.SignatureAlgorithm, cert.RawTBSCertificate, cert.Signature) == nil
}

// Order puts the leaf first, then the certificates of the CA that has signed it, and so on,
// level by level. A cross-signed CA has two certificates on one level. others has the
// certificates that aren't part of the chain. Order removes duplicates.
func Order(certs []*x509.Certificate, leaf int) (ordered, others []*x509.Certificate) {
	ordered = []*x509.Certificate{certs[leaf]}
	for _, cert := range certs {
		if !slices.ContainsFunc(append(ordered, others...), cert.Equal) {
			others = append(others, cert)
		}
	}
	for i := 0; i < len(ordered); i++ {
		others = slices.DeleteFunc(others, func(cert *x509.Certificate) bool {
			signed := SignedBy(ordered[i], cert)
			if signed {
				ordered = append(ordered, cert)
			}
			return signed
		})
	}
	return ordered, others
}

// Signer names the CA that must be trusted so that the leaf, the first of chain, is accepted:
// the last CA that can be reached from the leaf.
func Signer(chain []*x509.Certificate) string {
	ordered, _ := Order(chain, 0)
	switch top := ordered[len(ordered)-1]; {
	case !selfIssued(top):
		return fmt.Sprintf("the CA %s%s, whose own certificate isn't in the chain", issuer(top), keyID(top))
	case len(ordered) == 1:
		return fmt.Sprintf("the self-signed certificate %s (SHA-256 %s)", subject(top), dn.Fingerprint(top))
	default:
		return fmt.Sprintf("the CA %s (SHA-256 %s)", subject(top), dn.Fingerprint(top))
	}
}

// FalseSigner returns an error if a certificate in certs signed another one and isn't a CA's.
func FalseSigner(certs []*x509.Certificate) error {
	for _, signer := range certs {
		if IsCA(signer) {
			continue
		}
		for _, cert := range certs {
			if SignedBy(cert, signer) && !SelfSigned(cert) {
				return falseSigner(cert, signer)
			}
		}
	}
	return nil
}

func falseSigner(cert, signer *x509.Certificate) *Fault {
	code := "signed_by_no_ca"
	if IsCA(signer) {
		code = "signed_without_right"
	}
	return newFault(code, "cert", subject(cert), "signer", subject(signer))
}

// maySign reports whether crypto/x509 accepts ca as a signer, apart from its dates.
func maySign(ca *x509.Certificate) bool {
	old := ca.Version < 3 && !ca.BasicConstraintsValid
	return (old || IsCA(ca)) && (ca.KeyUsage == 0 || ca.KeyUsage&x509.KeyUsageCertSign != 0)
}

// Refused says why crypto/x509 refuses the signature of cert, from any CA; "" if it doesn't. The
// text continues a sentence after "is signed with".
func Refused(cert *x509.Certificate) string {
	switch cert.SignatureAlgorithm {
	case x509.SHA1WithRSA, x509.DSAWithSHA1, x509.ECDSAWithSHA1:
		return fmt.Sprintf("SHA-1 (%s)", cert.SignatureAlgorithm)
	case x509.MD2WithRSA, x509.MD5WithRSA:
		return cert.SignatureAlgorithm.String()
	case x509.DSAWithSHA256, x509.UnknownSignatureAlgorithm:
		return "an algorithm that isn't supported"
	}
	return ""
}

func selfIssued(cert *x509.Certificate) bool { return bytes.Equal(cert.RawIssuer, cert.RawSubject) }

func subject(cert *x509.Certificate) string { return fmt.Sprintf("%q", dn.Text(cert.Subject)) }
func issuer(cert *x509.Certificate) string  { return fmt.Sprintf("%q", dn.Text(cert.Issuer)) }

// keyID returns the key ID of the CA that cert names, which tells CAs of the same name apart.
func keyID(cert *x509.Certificate) string {
	if len(cert.AuthorityKeyId) == 0 {
		return ""
	}
	return fmt.Sprintf(" (key id %x)", cert.AuthorityKeyId)
}
