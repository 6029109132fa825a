package tunnel

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"strconv"

	"golang.org/x/crypto/cryptobyte"

	"tlstunnel/internal/diagnose"
)

// What a peer may say before it has proved anything. A real chain has some four
// certificates, the largest that are known have ten. crypto/tls alone would take
// 256 KiB of them and check 100 signatures, which takes 0.2 s with keys of P-521. The
// largest of the other messages is a ClientHello with a session ticket, in which there
// is the chain of the client, twice.
const (
	maxCertificates     = 16
	maxCertificateBytes = 16 << 10
	maxMessageBytes     = 40 << 10
	maxSignatureChecks  = 10 // one with a key of P-521 or a large one of RSA takes as long as some of others, and counts as 3
)

// flight is what the other side says in a handshake. It is looked at before crypto/tls
// gets it, since that has no hook between a certificate message and its verification
// (see [tlsio.Watch]).
// It only refuses: all that is verified, crypto/tls verifies.
type flight struct {
	part     []byte // of a message that isn't complete
	skip     int    // how much is still to come of one that isn't of interest
	messages int    // that were complete
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

// read goes through the messages that said, what comes next, is a part of. In TLS 1.3 those
// with certificates are encrypted.
func (f *flight) read(said []byte, encrypted bool) error {
	const certificate = 11
	rest := said
	if len(f.part) > 0 {
		f.part = append(f.part, said...)
		rest = f.part
	}
	for len(rest) > 0 {
		if f.skip > 0 {
			n := min(f.skip, len(rest))
			if rest, f.skip = rest[n:], f.skip-n; f.skip == 0 {
				f.messages++
			}
			continue
		}
		if len(rest) < messageHeader {
			break
		}
		size := int(rest[1])<<16 + int(rest[2])<<8 + int(rest[3])
		if rest[0] != certificate {
			if size > maxMessageBytes {
				values := []string{"bytes", strconv.Itoa(size), "most", strconv.Itoa(maxMessageBytes)}
				return &flightError{alertHandshakeFailure, diagnose.Refusal{Code: "*.large_message", Values: values}}
			}
			f.skip = messageHeader + size
			continue
		}
		if size > maxCertificateBytes {
			return largeChain(fmt.Sprintf("%d bytes of certificates, where %d are the most", size, maxCertificateBytes))
		}
		if len(rest) < messageHeader+size {
			break
		}
		if err := checkCertificates(rest[messageHeader:messageHeader+size], encrypted); err != nil {
			return err
		}
		f.messages++
		rest = rest[messageHeader+size:]
	}
	switch len(rest) {
	case 0:
		f.part = nil
	case len(f.part): // nothing is complete; there may be a record for each byte
	default:
		f.part = bytes.Clone(rest)
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
		return key.N.BitLen() > 4096
	}
	return false
}
