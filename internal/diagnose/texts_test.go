package diagnose

import (
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"encoding/binary"
	"io"
	"net"
	"reflect"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// exchange is what crypto/tls and the other end do with a connection.
type exchange struct {
	text  string
	ours  *tls.Config
	role  func(net.Conn, *tls.Config) *tls.Conn // ours
	other func(net.Conn)
}

// crypto/tls distinguishes these errors by their text alone. If a new Go has a new text, this
// test fails.
func TestTextsOfCryptoTLS(t *testing.T) {
	for _, test := range append(textsOfServers(), textsOfClients()...) {
		t.Run(test.text, func(t *testing.T) {
			theirs, ours := testkit.Connect(t)
			go test.other(theirs)
			c := test.role(ours, test.ours)
			err := c.Handshake()
			if err == nil {
				_, err = c.Read(make([]byte, 1))
			}
			if err == nil || !strings.Contains(err.Error(), test.text) {
				t.Errorf("got %v, want %q", err, test.text)
			}
			side := Peer
			if test.ours.ServerName != "" {
				side = Target
			}
			h := &Handshake{Side: side, Config: test.ours, First: []byte(dotted())}
			if d := h.Explain(err); strings.HasSuffix(d.Code, ".tls_failed") {
				t.Errorf("%v isn't recognized: %v", err, d)
			}
		})
	}
}

// speaks is a client of crypto/tls.
func speaks(edit func(*tls.Config)) func(net.Conn) {
	return func(c net.Conn) {
		config := clientTLS()
		edit(config)
		_ = tls.Client(c, config).Handshake()
	}
}

// serves is a server of crypto/tls that shows certificates like this.
func serves(shown tls.Certificate) func(net.Conn) {
	return func(c net.Conn) {
		_ = tls.Server(c, &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &shown, nil }}).Handshake()
	}
}

// shows makes a client show this certificate, whatever the server asks for.
func shows(shown tls.Certificate) func(*tls.Config) {
	return func(c *tls.Config) {
		c.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
}

// damaged isn't a certificate that crypto/x509 can read.
func damaged() tls.Certificate {
	cert := serverCert()
	cert.Certificate = [][]byte{cert.Certificate[0][:50]}
	return cert
}

// withKey is a certificate for a public key. The test has no private key for it.
func withKey(public any) tls.Certificate {
	cert := serverCert() // a tls.Certificate needs some private key
	cert.Certificate = [][]byte{testCA().IssueFor(public, serverName).Raw}
	return cert
}

// withX25519 is a certificate with a key that can't sign. crypto/x509 doesn't make such a
// certificate, so this is an Ed25519 one in which the number of the algorithm is overwritten.
func withX25519() tls.Certificate {
	public, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := withKey(public)
	const before = "\x06\x03\x2b\x65"
	cert.Certificate[0] = []byte(strings.ReplaceAll(string(cert.Certificate[0]), before+"\x70", before+"\x6e"))
	return cert
}

// dotted asks for a name with a dot at its end, which Go's clients remove.
func dotted() string {
	hello := string(clientHello(clientTLS()))
	return strings.Replace(hello, serverName, serverName[:len(serverName)-1]+".", 1)
}

func textsOfServers() []exchange {
	requires := serverTLS()
	requires.ClientAuth = tls.RequireAnyClientCert
	dicom := serverTLS()
	dicom.NextProtos = []string{"dicom"}
	x25519Alone := serverTLS()
	x25519Alone.CurvePreferences = []tls.CurveID{tls.X25519}

	hello := string(clientHello(clientTLS()))
	const schemes = "\x08\x04\x04\x03\x08\x07\x08\x05\x08\x06\x04\x01\x05\x01\x06\x01\x05\x03\x06\x03" // of Go's clients
	// This is TLS 1.2 without the extension, whose number is overwritten with another one.
	old := string(clientHello(&tls.Config{MaxVersion: tls.VersionTLS12, ServerName: serverName}))
	without := strings.Replace(old, "\x00\x0d\x00\x16\x00\x14"+schemes, "\xfa\xfa\x00\x16\x00\x14"+schemes, 1)
	writes := func(text string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, text) }
	}
	oneSuite := func(c *tls.Config) {
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256}
	}
	all := []exchange{
		{textUnreadable2, requires, nil, speaks(shows(damaged()))},
		{textOtherKey, requires, nil, speaks(shows(withX25519()))},
		{textNoCertificate, requires, nil, speaks(func(*tls.Config) {})},
		{textVersions, serverTLS(), nil, speaks(func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS11, tls.VersionTLS11 })},
		{textInCommon, serverTLS(), nil, speaks(oneSuite)},
		{textOffered + "c02f]", serverTLS(), nil, speaks(oneSuite)},
		{textInCommon, x25519Alone, nil, speaks(func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP521} })},
		{textSchemes, serverTLS(), nil, writes(strings.Replace(hello, schemes, strings.Repeat("\x08\x04", 10), 1))},
		{textNoSchemes, serverTLS(), nil, writes(without)},
		{textALPN, dicom, nil, speaks(func(c *tls.Config) { c.NextProtos = []string{"h2"} })},
		{textDecoding, serverTLS(), nil, writes(dotted())},
		{textNewHello, serverTLS(), nil, func(c net.Conn) {
			client := secureOld(c, tls.Client, clientTLS())
			_, _ = c.Write(sealed(client, clientHello(clientTLS())[recordHeader:]))
		}},
	}
	for i := range all {
		all[i].role = tls.Server
	}
	return all
}

func textsOfClients() []exchange {
	unverified := clientTLS()
	unverified.InsecureSkipVerify = true // otherwise crypto/tls would find the wrong signature first
	all := []exchange{
		{textUnreadable, clientTLS(), nil, serves(damaged())},
		{textOtherKey2, unverified, nil, serves(withX25519())},
		{textLargeKey, clientTLS(), nil, serves(withKey(testkit.RSAPublic(8201)))},
		// A server answers with an older version than the client offered.
		{textVersion, clientTLS(), nil, func(c net.Conn) {
			_, _ = io.WriteString(c, "\x16\x03\x01\x00\x2a\x02\x00\x00\x26\x03\x01"+strings.Repeat("r", 32)+"\x00\xc0\x14\x00")
		}},
		{textEcho, clientTLS(), nil, func(c net.Conn) { _, _ = io.Copy(c, c) }},
		{textDeclines, clientTLS(), nil, func(c net.Conn) {
			const helloRequest = "\x00\x00\x00\x00"
			server := secureOld(c, tls.Server, serverTLS())
			_, _ = c.Write(sealed(server, []byte(helloRequest)))
		}},
	}
	for i := range all {
		all[i].role = tls.Client
	}
	return all
}

// secureOld does a handshake of TLS 1.2.
func secureOld(c net.Conn, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) *tls.Conn {
	config.MaxVersion = tls.VersionTLS12
	conn := role(c, config)
	_ = conn.Handshake()
	return conn
}

// sealed is a record with a handshake message that crypto/tls would never send after the
// handshake. It is encrypted with the key of c (RFC 5246, section 6.2.3.3).
func sealed(c *tls.Conn, message []byte) []byte {
	out := reflect.ValueOf(c).Elem().FieldByName("out")
	aead := (*(*any)(out.FieldByName("cipher").Addr().UnsafePointer())).(cipher.AEAD)
	number := (*[8]byte)(out.FieldByName("seq").Addr().UnsafePointer())[:]
	kind := []byte{recordHandshake, 3, 3}
	additional := binary.BigEndian.AppendUint16(append(append([]byte{}, number...), kind...), uint16(len(message)))
	record := binary.BigEndian.AppendUint16(kind, uint16(len(number)+len(message)+aead.Overhead()))
	return aead.Seal(append(record, number...), number, message, additional)
}
