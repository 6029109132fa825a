package chain

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"strings"

	"tlstunnel/internal/dn"
)

// Unreadable says why crypto/x509 can't read a certificate. The text continues a sentence after
// the certificate, or its place. der may be nil if only the error is known.
func Unreadable(der []byte, err error) string {
	text := err.Error()
	says := func(part string) bool { return strings.Contains(text, part) }
	switch {
	case says("unsupported elliptic curve"):
		return "has a key on " + curveOf(der)
	case says("invalid ECDSA parameters"):
		return "has a key with the parameters of its curve written out, and Go takes the name of a curve alone"
	case says("negative serial number"):
		return "has a negative serial number, which RFC 5280 forbids"
	case says("incorrectly marked critical"):
		_, what, _ := strings.Cut(text, "x509: ")
		what, _, _ = strings.Cut(what, " incorrectly")
		return "has its " + what + " marked critical, which RFC 5280 forbids"
	}
	_, why, found := strings.Cut(text, "x509: ")
	if !found {
		why = text
	}
	return "is damaged or of an unknown kind (" + why + ")"
}

// outline is the first part of a certificate (RFC 5280, section 4.1), which can be read even if
// the rest is broken. Package asn1 skips the rest.
type outline struct {
	TBS struct {
		Version   int `asn1:"optional,explicit,default:0,tag:0"`
		Serial    *big.Int
		Signature pkix.AlgorithmIdentifier
		Issuer    asn1.RawValue
		Validity  asn1.RawValue
		Subject   pkix.RDNSequence
		Key       struct {
			Algorithm pkix.AlgorithmIdentifier
			Bits      asn1.BitString
		}
	}
}

func outlineOf(der []byte) (o outline, ok bool) {
	_, err := asn1.Unmarshal(der, &o)
	return o, err == nil
}

// IsCertificate reports whether der has the outline of a certificate, even if crypto/x509 can't
// read it.
func IsCertificate(der []byte) bool {
	_, ok := outlineOf(der)
	return ok
}

// SubjectOf returns the subject of a certificate that crypto/x509 can't read, or "".
func SubjectOf(der []byte) string {
	o, ok := outlineOf(der)
	if !ok {
		return ""
	}
	var name pkix.Name
	name.FillFromRDNSequence(&o.TBS.Subject)
	return dn.Text(name)
}

// brainpool are the curves of RFC 5639, by the last number of their OID.
var brainpool = map[int]string{
	1: "P160r1", 2: "P160t1", 3: "P192r1", 4: "P192t1", 5: "P224r1", 6: "P224t1", 7: "P256r1", 8: "P256t1",
	9: "P320r1", 10: "P320t1", 11: "P384r1", 12: "P384t1", 13: "P512r1", 14: "P512t1",
}

// curveOf names the curve of a key that Go doesn't know.
func curveOf(der []byte) string {
	o, _ := outlineOf(der)
	var curve asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(o.TBS.Key.Algorithm.Parameters.FullBytes, &curve); err != nil {
		return "an elliptic curve that Go doesn't know, as it knows no brainpool curves"
	}
	if last := len(curve) - 1; curve[:last].Equal(asn1.ObjectIdentifier{1, 3, 36, 3, 3, 2, 8, 1, 1}) {
		return "the curve brainpool" + brainpool[curve[last]] + ", and Go knows no brainpool curves"
	}
	if curve.Equal(asn1.ObjectIdentifier{1, 3, 132, 0, 10}) {
		return "the curve secp256k1, which Go doesn't know"
	}
	return fmt.Sprintf("an elliptic curve that Go doesn't know (%s)", curve)
}
