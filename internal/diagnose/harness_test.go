package diagnose

import (
	"crypto/tls"
	"net"
	"sync"
	"time"

	"tlstunnel/internal/testkit"
)

const serverName = "pacs.clinic.example"

var (
	testCA     = sync.OnceValue(func() *testkit.Cert { return testkit.NewCA("Clinic CA") })
	serverCert = sync.OnceValue(func() tls.Certificate { return testCA().Issue(serverName).TLS() })
	clientCert = sync.OnceValue(func() tls.Certificate { return testCA().Issue("modality-7").TLS() })
)

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS12}
}

func clientTLS() *tls.Config {
	return &tls.Config{RootCAs: testCA().Pool(), ServerName: serverName, MinVersion: tls.VersionTLS12}
}

// clientHello is the first flight of a Go client.
func clientHello(config *tls.Config) []byte {
	first := &firstFlight{}
	_ = tls.Client(first, config).Handshake()
	return first.written
}

// firstFlight is a connection that takes what is written and gives nothing.
type firstFlight struct {
	net.Conn
	written []byte
}

func (f *firstFlight) Write(b []byte) (int, error) {
	f.written = append(f.written, b...)
	return len(b), nil
}
func (f *firstFlight) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (f *firstFlight) Close() error                     { return nil }
func (f *firstFlight) SetWriteDeadline(time.Time) error { return nil }
