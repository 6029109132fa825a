package tunnel

import (
	"crypto/sha256"
	"crypto/tls"
	"fmt"
	"strings"
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

// fingerprint is the SHA-256 of a certificate as people compare it.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}
