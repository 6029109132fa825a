package certfile

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
)

var oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}

// contentInfo is the outer structure of PKCS#7 (RFC 2315, section 7).
type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

// signedData is SignedData (RFC 2315, section 9.1) up to its certificates.
type signedData struct {
	Version      int
	Digests      asn1.RawValue
	Content      asn1.RawValue
	Certificates asn1.RawValue `asn1:"optional,tag:0"`
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      asn1.RawValue
}

// encryptedKey is EncryptedPrivateKeyInfo (RFC 5208, section 6).
type encryptedKey struct {
	Algorithm pkix.AlgorithmIdentifier
	Data      []byte
}

func unmarshalWhole(der []byte, into any) bool {
	rest, err := asn1.Unmarshal(der, into)
	return err == nil && len(rest) == 0
}

func isPKCS7(der []byte) bool {
	var info contentInfo
	return unmarshalWhole(der, &info) && info.Type.Equal(oidSignedData)
}

// certificatesInPKCS7 returns the certificates in a SignedData, as DER. It ignores signatures:
// a .p7b has none. The error continues a sentence after the file's name.
func certificatesInPKCS7(der []byte) (ders [][]byte, err error) {
	var info contentInfo
	var signed signedData
	if !unmarshalWhole(der, &info) || !info.Type.Equal(oidSignedData) || !unmarshalWhole(info.Content.Bytes, &signed) {
		return nil, errors.New("is PKCS#7, but cut off, damaged or without certificates: export it anew")
	}
	for rest := signed.Certificates.Bytes; len(rest) > 0; {
		var cert asn1.RawValue
		if rest, err = asn1.Unmarshal(rest, &cert); err != nil {
			return nil, errors.New("is PKCS#7 with damaged certificates: export it anew")
		}
		ders = append(ders, cert.FullBytes)
	}
	if len(ders) == 0 {
		return nil, errors.New("is PKCS#7 without any certificate: export it anew, with the certificates")
	}
	return ders, nil
}
