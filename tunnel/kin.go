package tunnel

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"slices"
)

// Two tlstunnels demand of each other that a stream ends with close_notify, as each
// knows that the other one always sends it. They know each other by two marks:
//
//   - The last 8 of the 32 random bytes in the ClientHello of a client tunnel are a
//     hash of the others. Any other server sees random bytes, as ever.
//   - A server tunnel that sees this sends a word of its own along with its
//     certificate, in the list of SCTs. Other clients get the list as it was.
//
// Both are part of the handshake, which fails if somebody between adds or takes away
// a mark. Offering a protocol in ALPN instead would be simpler, but a server that
// knows only others must then refuse us (RFC 7301, section 3.2).

// kinLabel is what the marks are made of. It says what they promise.
const kinLabel = "tlstunnel/1: ends every stream with close_notify"

// kinAnswer stands among the SCTs of a server tunnel. SCTs begin with their version,
// and there is none of that number (RFC 6962, section 3.2).
var kinAnswer = append([]byte{0xff}, kinLabel...)

// errCut is an end of stream without close_notify, where one had to come.
var errCut = errors.New("end of stream without close_notify")

// helloSize is how much of a ClientHello there is up to the end of its random value,
// which begins at helloRandom: the headers of record and message, and a version.
const (
	helloRandom = recordHeader + 4 + 2
	helloSize   = helloRandom + 32
)

// markHello returns config for one handshake of a client, with the mark in it.
func markHello(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.Rand = &helloMarker{config}
	return config
}

// helloMarker gives crypto/tls the first random bytes that it asks for, which are
// those of the ClientHello, and nothing else: keys never come from it.
type helloMarker struct{ config *tls.Config }

func (m *helloMarker) Read(b []byte) (int, error) {
	m.config.Rand = nil
	n, err := rand.Read(b)
	if len(b) == 32 {
		copy(b[24:], kinMark(b))
	}
	return n, err
}

// kinMark is what the last bytes of a random value are in the hello of a client tunnel.
func kinMark(random []byte) []byte {
	sum := sha256.Sum256(append([]byte(kinLabel), random[:24]...))
	return sum[:8]
}

// isKin reports whether hello, the beginning of a ClientHello, has the mark.
func isKin(hello []byte) bool {
	return len(hello) >= helloSize && bytes.Equal(hello[helloSize-8:helloSize], kinMark(hello[helloRandom:helloSize]))
}

// answerKin returns config, of a server, with the answer to the mark.
func answerKin(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.Certificates = slices.Clone(config.Certificates)
	for i := range config.Certificates {
		config.Certificates[i] = *withKinAnswer(&config.Certificates[i])
	}
	if get := config.GetCertificate; get != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := get(hello)
			if cert != nil {
				cert = withKinAnswer(cert)
			}
			return cert, err
		}
	}
	return config
}

func withKinAnswer(cert *tls.Certificate) *tls.Certificate {
	answering := *cert
	answering.SignedCertificateTimestamps = append(slices.Clip(cert.SignedCertificateTimestamps), kinAnswer)
	return &answering
}

// hasKinAnswer reports whether the server of a session is a tlstunnel that knows us
// for one. A session that is resumed has the answer of the one that it began with.
func hasKinAnswer(session *tls.ConnectionState) bool {
	return slices.ContainsFunc(session.SignedCertificateTimestamps, func(sct []byte) bool { return bytes.Equal(sct, kinAnswer) })
}
