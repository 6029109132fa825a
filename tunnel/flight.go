package tunnel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"slices"
	"strconv"

	"golang.org/x/crypto/cryptobyte"

	"tlstunnel/internal/diagnose"
)

// Limits for the handshake messages of a peer that has proved nothing yet. A real chain has
// about four certificates; the largest known ones have ten. crypto/tls alone would accept
// 256 KiB of certificates and check 100 signatures, which takes 0.2 s with P-521 keys. The
// largest of the other messages is a ClientHello whose session ticket holds the client's chain
// twice. About 350 cipher suites exist, and no other list is as long.
const (
	maxCertificates     = 16
	maxCertificateBytes = 16 << 10
	maxMessageBytes     = 40 << 10
	maxListed           = 400  // in a list of a ClientHello: crypto/tls makes 24 bytes of memory of two
	maxRecords          = 2000 // each costs some time, even with a single byte: a ClientHello of a usual size may come so
	maxSignatureChecks  = 10   // a check with a P-521 key or a large RSA key is slow, and counts as 3
)

// flight checks the handshake messages of the other side before crypto/tls gets them (see
// [tlsio.Watch]): crypto/tls has no hook between a certificate message and its verification. It
// only refuses messages. crypto/tls does all verification.
type flight struct {
	trusted  []*x509.Certificate // the trusted CAs, as far as known
	messages int                 // how many messages were complete
}

// flightError means that the other side sent more than a handshake needs.
type flightError struct {
	alert   tls.AlertError
	refusal diagnose.Refusal
}

func (e *flightError) Error() string { return "more was sent than a handshake needs" }
func (e *flightError) Unwrap() error { return &e.refusal }

const (
	alertHandshakeFailure tls.AlertError = 40
	alertBadCertificate   tls.AlertError = 42
)

// largeChain returns the error for a chain with too many certificates.
func largeChain(what string) *flightError {
	return &flightError{alertBadCertificate, diagnose.Refusal{Code: "*.large_chain", Values: []string{"what", what}}}
}

// tooManyRecords returns the error for messages that come in too small pieces.
func tooManyRecords() *flightError {
	values := []string{"most", strconv.Itoa(maxRecords)}
	return &flightError{alertHandshakeFailure, diagnose.Refusal{Code: "*.many_records", Values: values}}
}

const messageHeader = 4 // bytes: type, length

// read checks the messages in said, the next bytes of the handshake. begun has the part of the
// first message that came before. In TLS 1.3 certificate messages are encrypted.
func (f *flight) read(begun, said []byte, encrypted bool) error {
	for len(said) > 0 {
		var header [messageHeader]byte
		if n := copy(header[:], begun); n+copy(header[n:], said) < messageHeader {
			return nil
		}
		size := int(header[1])<<16 + int(header[2])<<8 + int(header[3])
		if err := checkSize(header[0], size); err != nil {
			return err
		}
		end := messageHeader + size - len(begun)
		switch {
		case end > len(said):
			return nil
		case end <= 0: // crypto/tls is about to refuse what comes after it
			begun = begun[messageHeader+size:]
			continue
		}
		f.messages++
		message := said[:end]
		if len(begun) > 0 {
			message = slices.Concat(begun, message)
		}
		if err := f.checkMessage(message, encrypted); err != nil {
			return err
		}
		begun, said = nil, said[end:]
	}
	return nil
}

// Types of messages.
const (
	typeClientHello = 1
	typeCertificate = 11
)

func checkSize(kind byte, size int) error {
	switch {
	case kind == typeCertificate && size > maxCertificateBytes:
		return largeChain(fmt.Sprintf("%d bytes of certificates, where %d are the most", size, maxCertificateBytes))
	case size > maxMessageBytes:
		values := []string{"bytes", strconv.Itoa(size), "most", strconv.Itoa(maxMessageBytes)}
		return &flightError{alertHandshakeFailure, diagnose.Refusal{Code: "*.large_message", Values: values}}
	}
	return nil
}

func (f *flight) checkMessage(message []byte, encrypted bool) error {
	content := message[messageHeader:]
	switch message[0] {
	case typeClientHello:
		return checkHello(content)
	case typeCertificate:
		return checkCertificates(content, encrypted, f.trusted)
	}
	return nil
}

// checkCertificates checks the content of a certificate message. It leaves a message that it
// can't read to crypto/tls, which refuses it.
func checkCertificates(message []byte, tls13 bool, trusted []*x509.Certificate) error {
	s := cryptobyte.String(message)
	var context, list, der, extensions cryptobyte.String
	if tls13 && !s.ReadUint8LengthPrefixed(&context) || !s.ReadUint24LengthPrefixed(&list) {
		return nil
	}
	var all []cryptobyte.String
	for !list.Empty() {
		if !list.ReadUint24LengthPrefixed(&der) || tls13 && !list.ReadUint16LengthPrefixed(&extensions) {
			return nil
		}
		all = append(all, der)
	}
	if len(all) > maxCertificates {
		return largeChain(fmt.Sprintf("%d certificates, where %d are the most", len(all), maxCertificates))
	}
	if len(all) < 4 { // a leaf and two other certificates need at most four checks, and those of trusted CAs
		return nil
	}
	var chain []*x509.Certificate
	for _, der := range all {
		cert, err := x509.ParseCertificate(der)
		if err != nil {
			return nil
		}
		chain = append(chain, cert)
	}
	if signatureChecks(chain, trusted) > maxSignatureChecks {
		return largeChain("several certificates for one CA, so that there are too many ways to build a chain")
	}
	return nil
}

// signatureChecks counts the signatures that crypto/x509 would check to verify the first of
// certs, if all signatures were right. It follows each way from a certificate to one with the
// name of its issuer, and goes on from there unless that is trusted. A slow key counts more than
// once. It stops above maxSignatureChecks.
func signatureChecks(certs, trusted []*x509.Certificate) (n int) {
	used := make([]bool, len(certs))
	used[0] = true
	check := func(child, parent *x509.Certificate, slow int) bool {
		switch {
		case !bytes.Equal(parent.RawSubject, child.RawIssuer):
			return false
		case isSlow(parent.PublicKey):
			n += slow
		default:
			n++
		}
		return true
	}
	var tryAbove func(child *x509.Certificate)
	tryAbove = func(child *x509.Certificate) {
		for _, ca := range trusted {
			if !slices.ContainsFunc(certs, ca.Equal) {
				check(child, ca, 2) // not 3: two CAs of one name are trusted while one is renewed
			}
		}
		for i, parent := range certs {
			if n > maxSignatureChecks {
				return
			}
			if used[i] || !check(child, parent, 3) {
				continue
			}
			used[i] = true
			tryAbove(parent)
			used[i] = false
		}
	}
	tryAbove(certs[0])
	return n
}

// isSlow reports whether a signature check with this public key takes milliseconds. The owner of
// an RSA key can choose any exponent.
func isSlow(public any) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return key.N.BitLen() > 4096 || key.E > 65537
	}
	return false
}
