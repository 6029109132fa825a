package diagnose

import (
	"crypto/tls"
	"sync"

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

// What the tests of all packages share, under the names that it has here.
var clientHello = testkit.ClientHello
