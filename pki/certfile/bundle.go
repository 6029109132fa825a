package certfile

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"

	"tlstunnel/internal/chain"
	"tlstunnel/internal/strength"
)

// LoadCAs reads the certificates of a bundle of CAs, in their order: PEM, DER, PKCS#7, or
// PKCS#12 without password. It ignores keys and other objects. unusable has an error for each
// certificate that can't be used, with its place in the file. A file without a usable
// certificate is an error. LoadCAs doesn't check dates.
func LoadCAs(file string) (cas []*x509.Certificate, unusable []error, err error) {
	blocks, err := readBlocks("certificate", file, "", "CERTIFICATE", maxBundleFile)
	if errors.Is(err, errEncrypted) {
		err = fmt.Errorf("certificate %q is PKCS#12 with a password, and a file of CA certificates can't have one: get it as PEM or DER, or make it by `openssl pkcs12 -in FILE -nokeys -out ca.pem`", file)
	}
	if err != nil {
		return nil, nil, err
	}
	number := 0
	for _, block := range blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		number++
		cert, why := usableCA(block.Bytes)
		if why == "" {
			cas = append(cas, cert)
			continue
		}
		unusable = append(unusable, fmt.Errorf("the certificate %sin %s of %q isn't used: it %s",
			quotedSubject(block.Bytes), placeOf(file, block.Bytes, number), file, why))
	}
	switch {
	case number == 0:
		return nil, nil, wrongBlock("certificate", file, blocks, needCA)
	case len(cas) == 0:
		return nil, nil, fmt.Errorf("%q has no certificate that can be used: %w", file, errors.Join(unusable...))
	}
	return cas, unusable, nil
}

func quotedSubject(der []byte) string {
	if subject := chain.SubjectOf(der); subject != "" {
		return fmt.Sprintf("%q ", subject)
	}
	return ""
}

// usableCA returns why der can't be used as a CA, or "".
func usableCA(der []byte) (cert *x509.Certificate, why string) {
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, chain.Unreadable(der, err)
	}
	if err := strength.Check(cert.PublicKey); err != nil {
		return nil, "has " + err.Error()
	}
	return cert, ""
}

// placeOf returns the place of a certificate in file, with the line if it is a text file.
func placeOf(file string, der []byte, number int) string {
	data, err := readLimited(file, maxBundleFile)
	if err != nil {
		data = nil
	}
	for rest := data; ; {
		block, after := pem.Decode(rest)
		if block == nil {
			return fmt.Sprintf("place %d", number)
		}
		if bytes.Equal(block.Bytes, der) {
			begin := bytes.LastIndex(data[:len(data)-len(after)], []byte("-----BEGIN "))
			return fmt.Sprintf("line %d", bytes.Count(data[:begin], []byte("\n"))+1)
		}
		rest = after
	}
}

// LoadCertificates is [LoadCAs] for several files. It ignores unusable certificates.
func LoadCertificates(files ...string) (all []*x509.Certificate, err error) {
	for _, file := range files {
		cas, _, err := LoadCAs(file)
		if err != nil {
			return nil, err
		}
		all = append(all, cas...)
	}
	return all, nil
}
