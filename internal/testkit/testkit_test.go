package testkit

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"testing"
)

// TestIssue makes a leaf below two CAs. A client with the root accepts it.
func TestIssue(t *testing.T) {
	LeakCheck(t)
	root := NewCA("Root")
	leaf := root.Issue("Issuing", AsCA).Issue("pacs.clinic.example")
	address := Serve(t, tls.NewListener(Listen(t), &tls.Config{Certificates: []tls.Certificate{leaf.TLS()}}), Echo)
	c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: root.Pool(), ServerName: "pacs.clinic.example"})
	Check(t, err)
	defer c.Close()
	_, err = c.Write([]byte("hello"))
	Check(t, err, c.CloseWrite())
	if got, err := io.ReadAll(c); string(got) != "hello" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	pair, err := tls.X509KeyPair(leaf.PEM(), leaf.KeyPEM())
	Check(t, err)
	if !pair.Leaf.Equal(leaf.Certificate) || NewCAFor(RSAKey(2048), "RSA").PublicKeyAlgorithm != x509.RSA {
		t.Error("got another certificate")
	}
}

// TestServeEnds: a connection that is never closed doesn't delay the end of a test.
func TestServeEnds(t *testing.T) {
	LeakCheck(t)
	var c net.Conn
	defer func() { c.Close() }()
	t.Run("open", func(t *testing.T) {
		var err error
		c, err = net.Dial("tcp", Serve(t, Listen(t), Echo))
		Check(t, err)
	})
	if n, err := c.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d bytes from a server that has ended", n)
	}
}
