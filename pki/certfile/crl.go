package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
)

// CRL is a revocation list whose signature has been verified.
type CRL struct {
	Issuer *x509.Certificate
	*x509.RevocationList
}

// LoadCRLs reads the revocation lists of a file, PEM or DER. One of the cas must have signed
// each list. A list that is only a part (a delta CRL, or a limited scope), or that is about
// other CAs, is an error. LoadCRLs doesn't check whether a list is out of date.
func LoadCRLs(file string, cas []*x509.Certificate) ([]CRL, error) {
	data, err := readInput("CRL", file, maxBundleFile)
	if err != nil {
		return nil, err
	}
	ders, err := crlsIn(data)
	if err != nil {
		return nil, fmt.Errorf("CRL %q %w", file, err)
	}
	var crls []CRL
	for _, der := range ders {
		crl, err := parseCRL(der, cas)
		if err != nil {
			return nil, fmt.Errorf("CRL %q %w", file, err)
		}
		crls = append(crls, crl)
	}
	return crls, nil
}

// crlsIn returns the lists in a file, as DER. The error continues a sentence after its name.
func crlsIn(data []byte) (ders [][]byte, err error) {
	if data[0] == derSequence && !isPKCS12(data) {
		return [][]byte{data}, nil
	}
	blocks, damaged := decodeAll(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	found := looksLike(data)
	for _, block := range blocks {
		if block.Type == "X509 CRL" {
			ders = append(ders, block.Bytes)
		} else if known, ok := blockTypes[block.Type]; ok {
			found = "holds " + known
		}
	}
	switch {
	case damaged:
		return nil, errors.New("is damaged: it has a PEM block that is cut off or malformed: get it anew from the CA")
	case len(ders) == 0:
		return nil, fmt.Errorf("%s: a revocation list is needed, in PEM with the line \"-----BEGIN X509 CRL-----\" or in DER", found)
	}
	return ders, nil
}

// parseCRL finds the CA that signed a list. The error continues a sentence after the file's name.
func parseCRL(der []byte, cas []*x509.Certificate) (CRL, error) {
	list, err := x509.ParseRevocationList(der)
	_, notCert := x509.ParseCertificate(der)
	switch {
	case err != nil && notCert == nil:
		return CRL{}, errors.New("is a certificate where a revocation list is needed")
	case err != nil && strings.Contains(err.Error(), "unsupported crl version"):
		return CRL{}, errors.New("is of version 1, which isn't supported: have the CA make version 2, as `openssl ca -gencrl` does with crl_extensions in its config")
	case err != nil:
		return CRL{}, errors.New("is damaged or no revocation list: get it anew from the CA")
	}
	if err := checkComplete(list); err != nil {
		return CRL{}, err
	}
	var named error
	for _, ca := range cas {
		if !bytes.Equal(ca.RawSubject, list.RawIssuer) {
			continue
		}
		if named = list.CheckSignatureFrom(ca); named == nil {
			return CRL{ca, list}, nil
		}
	}
	if named != nil {
		return CRL{}, fmt.Errorf("says that it is from %q, but isn't signed by that CA as this tunnel knows it: get it anew from the CA (%w)", dn.Text(list.Issuer), named)
	}
	return CRL{}, fmt.Errorf("is from %q, which isn't a CA that this tunnel trusts: name its certificate too, or remove the CRL", dn.Text(list.Issuer))
}

var (
	oidDelta             = asn1.ObjectIdentifier{2, 5, 29, 27}
	oidDistributionPoint = asn1.ObjectIdentifier{2, 5, 29, 28}
	oidEntryIssuer       = asn1.ObjectIdentifier{2, 5, 29, 29}
)

// checkComplete refuses a list that isn't complete in itself (RFC 5280, section 5.2). The error
// continues a sentence after the file's name.
func checkComplete(list *x509.RevocationList) error {
	for _, e := range list.Extensions {
		switch {
		case e.Id.Equal(oidDelta):
			return errors.New("is a delta CRL, which has only the changes: get the complete one")
		case e.Id.Equal(oidDistributionPoint):
			if err := checkScope(e.Value); err != nil {
				return err
			}
		case e.Critical:
			return fmt.Errorf("has the critical extension %s, which isn't supported: ask the CA for a plain CRL", e.Id)
		}
	}
	for _, entry := range list.RevokedCertificateEntries {
		for _, e := range entry.Extensions {
			if e.Id.Equal(oidEntryIssuer) {
				return errIndirect
			}
			if e.Critical {
				return fmt.Errorf("has the critical extension %s for serial number %s, which isn't supported: ask the CA for a plain CRL", e.Id, entry.SerialNumber)
			}
		}
	}
	return nil
}

var errIndirect = errors.New("is an indirect CRL, which speaks for other CAs than its issuer: get the one of each CA")

// checkScope refuses a list that is about some certificates only.
func checkScope(der []byte) error {
	var scope struct {
		Point          asn1.RawValue  `asn1:"optional,tag:0"`
		OnlyUsers      bool           `asn1:"optional,tag:1"`
		OnlyCAs        bool           `asn1:"optional,tag:2"`
		OnlyReasons    asn1.BitString `asn1:"optional,tag:3"`
		Indirect       bool           `asn1:"optional,tag:4"`
		OnlyAttributes bool           `asn1:"optional,tag:5"`
	}
	rest, err := asn1.Unmarshal(der, &scope)
	switch {
	case err != nil || len(rest) > 0:
		return errors.New("is damaged: its distribution point can't be read")
	case scope.Indirect:
		return errIndirect
	case scope.OnlyReasons.BitLength > 0 || scope.OnlyAttributes:
		return errors.New("is about some reasons or attributes only: get the complete one")
	}
	return nil
}

// revocationReasons are those of RFC 5280, section 5.3.1.
var revocationReasons = map[int]string{
	0: "unspecified", 1: "keyCompromise", 2: "cACompromise", 3: "affiliationChanged", 4: "superseded",
	5: "cessationOfOperation", 6: "certificateHold", 9: "privilegeWithdrawn", 10: "aACompromise",
}

// Revoked returns the serial numbers, in decimal, of the revoked certificates. The values say in
// words since when and why.
func (c CRL) Revoked() map[string]string {
	revoked := make(map[string]string, len(c.RevokedCertificateEntries))
	for _, entry := range c.RevokedCertificateEntries {
		reason, ok := revocationReasons[entry.ReasonCode]
		if !ok {
			reason = fmt.Sprintf("reason %d", entry.ReasonCode)
		}
		revoked[entry.SerialNumber.String()] = fmt.Sprintf("on %s: %s", date.Time(entry.RevocationTime), reason)
	}
	return revoked
}

// CheckDates returns an error of one sentence if the list is out of date, or from the future,
// at the time now.
func (c CRL) CheckDates(file string, now time.Time) error {
	switch {
	case now.Before(c.ThisUpdate):
		return fmt.Errorf("CRL %q is from %s, and the clock says %s: check the clock of this machine; if it is right, get a new one from the CA %q", file, date.Time(c.ThisUpdate), date.Time(now), dn.Text(c.Issuer.Subject))
	case !c.NextUpdate.IsZero() && now.After(c.NextUpdate):
		return fmt.Errorf("CRL %q has been out of date since %s: get a new one from the CA %q", file, date.Time(c.NextUpdate), dn.Text(c.Issuer.Subject))
	}
	return nil
}

// Reasons returns the reasons for which a certificate can be revoked, in alphabetical order.
func Reasons() []string { return slices.Sorted(maps.Values(revocationReasons)) }

// ReasonCode is the number of a reason in RFC 5280.
func ReasonCode(name string) (int, error) {
	for code, reason := range revocationReasons {
		if reason == name {
			return code, nil
		}
	}
	return 0, fmt.Errorf("unknown reason %q: use one of %s", name, strings.Join(Reasons(), ", "))
}
