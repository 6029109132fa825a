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

// What a peer may say before it has proved anything. A real chain has some four
// certificates, the largest that are known have ten. crypto/tls alone would take
// 256 KiB of them and check 100 signatures, which takes 0.2 s with keys of P-521. The
// largest of the other messages is a ClientHello with a session ticket, in which there
// is the chain of the client, twice. There are some 350 cipher suites in the world, and no other
// list is as long.
const (
	maxCertificates     = 16
	maxCertificateBytes = 16 << 10
	maxMessageBytes     = 40 << 10
	maxListed           = 400 // in a list of a ClientHello: crypto/tls makes 24 bytes of memory of two
	maxSignatureChecks  = 10  // one with a key of P-521 or a large one of RSA takes as long as some of others, and counts as 3
)

// flight is what the other side says in a handshake. It is looked at before crypto/tls
// gets it, since that has no hook between a certificate message and its verification
// (see [tlsio.Watch]).
// It only refuses: all that is verified, crypto/tls verifies.
type flight struct {
	messages int // that were complete
}

// flightError is that the other side says more than a handshake needs.
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

// largeChain is for certificates that are too many.
func largeChain(what string) *flightError {
	return &flightError{alertBadCertificate, diagnose.Refusal{Code: "*.large_chain", Values: []string{"what", what}}}
}

const messageHeader = 4 // bytes: type, length

// read goes through the messages that said, what comes next, is a part of. begun is what
// came of the first one before. In TLS 1.3 those with certificates are encrypted.
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
		if err := checkMessage(message, encrypted); err != nil {
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

func checkMessage(message []byte, encrypted bool) error {
	content := message[messageHeader:]
	switch message[0] {
	case typeClientHello:
		return checkHello(content)
	case typeCertificate:
		return checkCertificates(content, encrypted)
	}
	return nil
}

// checkCertificates is for the content of a certificate message. One that can't be
// read is for crypto/tls to refuse.
func checkCertificates(message []byte, tls13 bool) error {
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
	if len(all) < 4 { // a leaf and two others: four checks
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
	if signatureChecks(chain) > maxSignatureChecks {
		return largeChain("several certificates for one CA, so that there are too many ways to build a chain")
	}
	return nil
}

// signatureChecks counts the signatures that x509 would check to verify the first of
// certs with the help of the others, if all of them were right, those with a slow key thrice.
// It tries each way from a certificate to one with the name of its issuer. The count
// ends above maxSignatureChecks.
func signatureChecks(certs []*x509.Certificate) (n int) {
	used := make([]bool, len(certs))
	used[0] = true
	var tryAbove func(child *x509.Certificate)
	tryAbove = func(child *x509.Certificate) {
		for i, parent := range certs {
			if n > maxSignatureChecks {
				return
			}
			if used[i] || !bytes.Equal(parent.RawSubject, child.RawIssuer) {
				continue
			}
			n++
			if isSlow(parent.PublicKey) {
				n += 2
			}
			used[i] = true
			tryAbove(parent)
			used[i] = false
		}
	}
	tryAbove(certs[0])
	return n
}

// isSlow is for public keys with which a check takes some milliseconds. The exponent of
// one of RSA may be as large as its owner likes.
func isSlow(public any) bool {
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		return key.Curve == elliptic.P521()
	case *rsa.PublicKey:
		return key.N.BitLen() > 4096 || key.E > 65537
	}
	return false
}
