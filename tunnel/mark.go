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

// A tlstunnel always ends a stream with close_notify. So two tlstunnels demand it of each other.
// They recognize each other by two marks:
//
//   - The last 8 of the 32 random bytes in the ClientHello of a client tunnel are a
//     hash of the others. Any other server sees random bytes.
//   - A server tunnel that sees this adds an entry of its own to the list of SCTs that goes
//     with its certificate. Other clients get the list without it.
//
// Both are part of the handshake, which fails if somebody on the way adds or removes a mark. An
// application protocol (ALPN) would be simpler, but a server that knows only other protocols
// must refuse it (RFC 7301, section 3.2).

// markLabel is hashed into the marks. It says what they promise.
const markLabel = "tlstunnel/1: ends every stream with close_notify"

// markAnswer is the entry among the SCTs of a server tunnel. An SCT begins with its version, and
// no version has that number (RFC 6962, section 3.2).
var markAnswer = append([]byte{0xff}, markLabel...)

// errNoCloseNotify is an end of stream without the close_notify that had to come.
var errNoCloseNotify = errors.New("end of stream without close_notify")

// helloSize is the length of a ClientHello up to the end of its random value. Before helloRandom
// are the headers of record and message, and a version.
const (
	helloRandom = tlsio.RecordHeader + 4 + 2
	helloSize   = helloRandom + 32
)

// markHello returns a config for one handshake of a client, whose hello has the mark.
func markHello(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.Rand = &helloMarker{config}
	return config
}

// helloMarker is the source of the first random bytes that crypto/tls asks for, those of the
// ClientHello. All later bytes, from which keys come, are those of crypto/rand.
type helloMarker struct{ config *tls.Config }

func (m *helloMarker) Read(b []byte) (int, error) {
	m.config.Rand = nil
	n, err := rand.Read(b)
	if len(b) == 32 {
		copy(b[24:], markOf(b))
	}
	return n, err
}

// markOf returns the last 8 bytes of a random value in the hello of a client tunnel.
func markOf(random []byte) []byte {
	sum := sha256.Sum256(append([]byte(markLabel), random[:24]...))
	return sum[:8]
}

// hasMark reports whether hello, the beginning of a ClientHello, has the mark.
func hasMark(hello []byte) bool {
	return len(hello) >= helloSize && bytes.Equal(hello[helloSize-8:helloSize], markOf(hello[helloRandom:helloSize]))
}

// answerMark returns the config of a server with the answer to the mark.
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

// hasAnswer reports whether the server of a session is a tlstunnel that has seen our mark. A
// resumed session has the answer of its first handshake.
func hasAnswer(session *tls.ConnectionState) bool {
	return slices.ContainsFunc(session.SignedCertificateTimestamps, func(sct []byte) bool { return bytes.Equal(sct, markAnswer) })
}
