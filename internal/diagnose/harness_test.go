package diagnose

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// authority is a CA for tests.
type authority struct {
	cert *x509.Certificate
	key  crypto.Signer
}

// newAuthority makes a CA, self-signed if above is nil.
func newAuthority(name string, key crypto.Signer, above *authority) *authority {
	ca := &authority{key: key}
	ca.cert = sign(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, above, ca)
	return ca
}

func newKey() crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return key
}

// sign makes a certificate with the key of owner.
func sign(template *x509.Certificate, by, owner *authority) *x509.Certificate {
	parent := template
	if by == nil {
		by = owner
	} else {
		parent = by.cert
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, owner.key.Public(), by.key)
	if err != nil {
		panic(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		panic(err)
	}
	return cert
}

// issue makes a leaf for servers and clients; edit may change it before. The CA's
// certificate is part of what is returned.
func (a *authority) issue(name string, edit func(*x509.Certificate)) tls.Certificate {
	return a.issueWith(newKey(), name, edit)
}

func (a *authority) issueWith(key crypto.Signer, name string, edit func(*x509.Certificate)) tls.Certificate {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if edit != nil {
		edit(template)
	}
	leaf := sign(template, a, &authority{key: key})
	return tls.Certificate{Certificate: [][]byte{leaf.Raw, a.cert.Raw}, PrivateKey: key, Leaf: leaf}
}

const serverName = "pacs.clinic.example"

var (
	testCA     = sync.OnceValue(func() *authority { return newAuthority("Clinic CA", newKey(), nil) })
	serverCert = sync.OnceValue(func() tls.Certificate { return testCA().issue(serverName, nil) })
	clientCert = sync.OnceValue(func() tls.Certificate { return testCA().issue("modality-7", nil) })
	rsaKey     = sync.OnceValue(func() *rsa.PrivateKey {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			panic(err)
		}
		return key
	})
)

func serverTLS() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS12}
}

func clientTLS() *tls.Config {
	pool := x509.NewCertPool()
	pool.AddCert(testCA().cert)
	return &tls.Config{RootCAs: pool, ServerName: serverName, MinVersion: tls.VersionTLS12}
}

// connect makes a connection over loopback.
func connect(t *testing.T) (theirs, ours net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	theirs, err = net.Dial("tcp", l.Addr().String())
	check(t, err)
	t.Cleanup(func() { theirs.Close() })
	ours, err = l.Accept()
	check(t, err)
	t.Cleanup(func() { ours.Close() })
	return theirs, ours
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
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
