package tunnel

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"slices"

	"tlstunnel/internal/tlsio"
)

// Two tlstunnels demand of each other that a stream ends with close_notify, as each
// knows that the other always sends it. They recognize each other by two marks:
//
//   - The last 8 of the 32 random bytes in the ClientHello of a client tunnel are a
//     hash of the others. Any other server sees random bytes, as ever.
//   - A server tunnel that sees this sends a word of its own along with its
//     certificate, in the list of SCTs. Other clients get the list as it was.
//
// Both are part of the handshake, which fails if somebody on the way adds or removes a
// mark. Offering a protocol in ALPN instead would be simpler, but a server that
// knows only others must then refuse us (RFC 7301, section 3.2).

// markLabel is what the marks are made of. It says what they promise.
const markLabel = "tlstunnel/1: ends every stream with close_notify"

// markAnswer stands among the SCTs of a server tunnel. SCTs begin with their version,
// and there is none of that number (RFC 6962, section 3.2).
var markAnswer = append([]byte{0xff}, markLabel...)

// errNoCloseNotify is an end of stream without close_notify, where one had to come.
var errNoCloseNotify = errors.New("end of stream without close_notify")

// helloSize is how much of a ClientHello there is up to the end of its random value,
// which begins at helloRandom: the headers of record and message, and a version.
const (
	helloRandom = tlsio.RecordHeader + 4 + 2
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
		copy(b[24:], markOf(b))
	}
	return n, err
}

// markOf is what the last bytes of a random value are in the hello of a client tunnel.
func markOf(random []byte) []byte {
	sum := sha256.Sum256(append([]byte(markLabel), random[:24]...))
	return sum[:8]
}

// hasMark reports whether hello, the beginning of a ClientHello, has the mark.
func hasMark(hello []byte) bool {
	return len(hello) >= helloSize && bytes.Equal(hello[helloSize-8:helloSize], markOf(hello[helloRandom:helloSize]))
}

// answerMark returns config, of a server, with the answer to the mark.
func answerMark(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.Certificates = slices.Clone(config.Certificates)
	for i := range config.Certificates {
		config.Certificates[i] = *withAnswer(&config.Certificates[i])
	}
	if get := config.GetCertificate; get != nil {
		config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert, err := get(hello)
			if cert != nil {
				cert = withAnswer(cert)
			}
			return cert, err
		}
	}
	return config
}

func withAnswer(cert *tls.Certificate) *tls.Certificate {
	answering := *cert
	answering.SignedCertificateTimestamps = append(slices.Clip(cert.SignedCertificateTimestamps), markAnswer)
	return &answering
}

// hasAnswer reports whether the server of a session is a tlstunnel that has seen our
// mark. A session that is resumed has the answer of the one that it began with.
func hasAnswer(session *tls.ConnectionState) bool {
	return slices.ContainsFunc(session.SignedCertificateTimestamps, func(sct []byte) bool { return bytes.Equal(sct, markAnswer) })
}
