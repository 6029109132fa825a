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

// LoadCAs reads all certificates of a file, in their order: PEM, DER, PKCS#7, or
// PKCS#12 without password. It is for bundles of CA certificates; keys and other things
// in them are passed over, and so are certificates that can't be used, which unusable
// has, each with its place and the reason. A file without any that can be used is an
// error. Whether they are valid isn't looked at.
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

// usableCA says why der can't be used as a CA, or "".
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

// placeOf is where in file a certificate is: the line, if it is a text file.
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

// LoadCertificates is [LoadCAs] for several files, and for those who don't tell of what
// can't be used.
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
