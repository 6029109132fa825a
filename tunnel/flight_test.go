package tunnel

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
	"tlstunnel/internal/tlsio"
)

// needMessages skips a test of what tlsio finds in handshake messages, if this build of tlsio
// can't look into them. tlsio/internals.go says when it can.
func needMessages(t *testing.T) {
	t.Helper()
	_, accepted := connect(t)
	if !tlsio.Server(asSock(t, accepted), serverTLS()).ShowsMessages() {
		t.Skip("tlsio doesn't know this crypto/tls")
	}
}

func oneCertificate(c tls.Certificate) func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	return func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &c, nil }
}

func withCert(c tls.Certificate) *tls.Config {
	config := clientTLS()
	config.GetClientCertificate = oneCertificate(c)
	return config
}

// certificate makes a certificate for name by issuer. Its signature is made with key, which
// need not be the issuer's.
func certificate(name, issuer string, key, public crypto.Signer, edit func(*x509.Certificate)) []byte {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{serverName},
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	if edit != nil {
		edit(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, &x509.Certificate{Subject: pkix.Name{CommonName: issuer}}, public.Public(), key)
	if err != nil {
		panic(err)
	}
	return der
}

// slowRSA is a public key of so many bits and with that exponent, which makes a verification
// slow. It is only ever written into certificates.
type slowRSA struct {
	crypto.Signer
	bits     uint
	exponent int
}

func (k slowRSA) Public() crypto.PublicKey {
	n := new(big.Int).Lsh(big.NewInt(1), k.bits)
	return &rsa.PublicKey{N: n.Sub(n, big.NewInt(1)), E: k.exponent}
}

// floods are chains that cost much to verify.
func floods() map[string]tls.Certificate {
	leafKey := testkit.NewKey()
	newP521 := func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}
	p521 := newP521()
	leaf := certificate("leaf", "CA", p521, leafKey, nil)
	many := [][]byte{leaf}
	for i := range 16 {
		many = append(many, certificate(fmt.Sprint("CA ", i), "CA", leafKey, leafKey, nil))
	}
	large := [][]byte{leaf}
	for range 120 {
		large = append(large, certificate("CA", "CA", leafKey, newP521(), nil))
	}
	// Every path here is valid: each of these certificates has issued each other.
	ways := [][]byte{leaf}
	for i := range 9 {
		ways = append(ways, certificate("CA", "CA", p521, p521, func(c *x509.Certificate) { c.DNSNames = []string{fmt.Sprint(i)} }))
	}
	several := [][]byte{leaf}
	for range 4 {
		several = append(several, certificate("CA", "root", leafKey, newP521(), nil))
	}
	slow := [][]byte{leaf}
	for _, key := range []slowRSA{{bits: 8192, exponent: 3}, {bits: 8192, exponent: 3}, {bits: 4096, exponent: 1<<31 - 1}, {bits: 2048, exponent: 65539}} {
		slow = append(slow, certificate("CA", "root", leafKey, key, nil))
	}
	return map[string]tls.Certificate{
		"several certificates for one CA, so":                              {Certificate: slow, PrivateKey: leafKey},
		"several certificates for one CA":                                  {Certificate: several, PrivateKey: leafKey},
		"17 certificates, where 16 are the most":                           {Certificate: many, PrivateKey: leafKey},
		"several certificates for one CA, so that there are too many ways": {Certificate: ways, PrivateKey: leafKey},
		" bytes of certificates, where 16384 are the most":                 {Certificate: large, PrivateKey: leafKey},
	}
}

// The tunnel refuses a chain that costs too much before it verifies it, in both modes and
// both versions of TLS.
func TestCertificateFloods(t *testing.T) {
	needMessages(t)
	for what, flood := range floods() {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			for _, mode := range modes[:2] {
				t.Run(fmt.Sprintf("%s/%s/%s", what, tls.VersionName(version), mode), func(t *testing.T) {
					leakCheck(t)
					var message, who string
					var alert error
					p := newPath(t, mode, requireClientCert)
					if mode == "server" {
						message, who = "handshake failed", "peer"
						peer := mustDial(t, p.tunnels[0].addr)
						config := clientTLS()
						config.MaxVersion, config.GetClientCertificate = version, oneCertificate(flood)
						alert = peer.secure(tls.Client, config)
						if alert == nil { // a TLS 1.3 client learns it later
							_, alert = peer.Read(make([]byte, 1))
						}
					} else {
						message, who = "target failed", "target"
						peer := mustDial(t, p.tunnels[0].addr)
						accepted, err := p.target.Accept()
						check(t, err)
						defer accepted.Close()
						alert = tls.Server(accepted, &tls.Config{Certificates: []tls.Certificate{flood}, MaxVersion: version}).Handshake()
						_, _ = io.Copy(io.Discard, peer)
					}
					if alert == nil || !strings.Contains(alert.Error(), "bad certificate") {
						t.Errorf("the other side got %v, want the alert", alert)
					}
					rec := p.tunnels[0].logs.next(t, 0)
					reason := rec.text("reason")
					if rec.level != slog.LevelWarn || rec.message != message || rec.text("ended_by") != byTunnel ||
						!strings.HasPrefix(reason, "tlstunnel refused the "+who+"'s handshake: it sent ") || !strings.Contains(reason, what) {
						t.Error(rec)
					}
				})
			}
		}
	}
}

// Signatures by trusted certificates have to be checked too. A usual chain stays below the
// limit, even if all its keys are slow and the root is there twice, as during its renewal.
func TestSignatureChecksWithTrusted(t *testing.T) {
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	check(t, err)
	key := testkit.NewKey()
	issued := func(name, issuer string, public crypto.Signer) *x509.Certificate {
		cert, err := x509.ParseCertificate(certificate(name, issuer, key, public, nil))
		check(t, err)
		return cert
	}
	leaf, root, renewed := issued("leaf", "CA 1", key), issued("root", "root", p521), issued("root", "root", p521)
	usual := []*x509.Certificate{leaf, issued("CA 1", "CA 2", p521), issued("CA 2", "root", p521)}
	flood := []*x509.Certificate{leaf}
	for range 5 {
		flood = append(flood, issued("CA 1", "root", key))
	}
	for name, test := range map[string]struct {
		certs, trusted []*x509.Certificate
		want           int
	}{
		"without the root":      {usual, []*x509.Certificate{root, renewed}, 10},
		"with the root":         {append(usual[:3:3], root), []*x509.Certificate{root}, 9},
		"ways of unknown CAs":   {flood, nil, 5},
		"ways to a trusted one": {flood, []*x509.Certificate{root}, maxSignatureChecks + 2},
	} {
		if got := signatureChecks(test.certs, test.trusted); got != test.want {
			t.Errorf("%s: got %d, want %d", name, got, test.want)
		}
	}
}

// However a certificate message is split into records, the tunnel looks at it. The work grows
// only with its size.
func TestCertificateInPieces(t *testing.T) {
	message := append([]byte{11, 0, 0x3f, 0xff}, bytes.Repeat([]byte{1}, 0x3fff)...)
	read := func() {
		var f flight
		for i := range message {
			if err := f.read(message[:i], message[i:i+1], false); err != nil {
				t.Fatal(err)
			}
		}
		if f.messages != 1 {
			t.Fatalf("%d messages", f.messages)
		}
	}
	if n := testing.AllocsPerRun(1, read); n > 100 {
		t.Errorf("%v allocations for %d records", n, len(message))
	}
}

// A chain of ten goes through, as long as there is one way up.
func TestLongChain(t *testing.T) {
	key := testkit.NewKey()
	chain := [][]byte{certificate("leaf", "CA 1", key, key, func(c *x509.Certificate) {
		c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	})}
	for i := 1; i < 10; i++ {
		chain = append(chain, certificate(fmt.Sprint("CA ", i), fmt.Sprint("CA ", min(9, i+1)), key, key, nil))
	}
	root, err := x509.ParseCertificate(chain[9])
	check(t, err)
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", func(s *Settings) {
				requireClientCert(s)
				s.Front.ClientCAs = x509.NewCertPool()
				s.Front.ClientCAs.AddCert(root)
			})
			config := clientTLS()
			config.MaxVersion = version
			config.GetClientCertificate = oneCertificate(tls.Certificate{Certificate: chain, PrivateKey: key})
			config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
			for i, resumed := range []string{"false", "true"} { // with the chain in the ticket
				peer := mustDialTLS(t, p.tunnels[0].addr, config)
				target, err := p.accept()
				check(t, err)
				check(t, exchange(peer, target))
				if rec := closeBoth(t, p, i, peer, target); rec.text("resumed") != resumed {
					t.Error(rec)
				}
				target.tcp.Close()
			}
		})
	}
}

// However a ClientHello is split into records and packets, the tunnel accepts it, up to a
// size.
func TestHelloInPieces(t *testing.T) {
	hello := clientHello(clientTLS())
	records := func(size int) (all []byte) {
		for rest := hello[tlsio.RecordHeader:]; len(rest) > 0; {
			n := min(size, len(rest))
			all = append(append(all, 22, 3, 1, byte(n>>8), byte(n)), rest[:n]...)
			rest = rest[n:]
		}
		return all
	}
	oneByOne := func(e *end, b []byte) {
		for i := range b {
			_, _ = e.Write(b[i : i+1])
		}
	}
	atOnce := func(e *end, b []byte) { _, _ = e.Write(b) }
	leakCheck(t)
	p := newPath(t, "server", nil)
	for name, send := range map[string]func(*end){
		"one record, byte by byte": func(e *end) { oneByOne(e, hello) },
		"records of 3 bytes":       func(e *end) { atOnce(e, records(3)) },
		"records of 700 bytes":     func(e *end) { oneByOne(e, records(700)) },
	} {
		t.Run(name, func(t *testing.T) {
			peer := mustDial(t, p.tunnels[0].addr)
			send(peer)
			answer := make([]byte, tlsio.RecordHeader+1)
			_, err := io.ReadFull(peer, answer)
			check(t, err)
			if answer[0] != 22 || answer[tlsio.RecordHeader] != 2 {
				t.Errorf("got % x, want a ServerHello", answer)
			}
			peer.tcp.Close()
		})
	}
}

func TestLongHello(t *testing.T) {
	needMessages(t)
	leakCheck(t)
	p := newPath(t, "server", nil)
	for i, test := range []struct {
		size   int
		reason string
	}{
		{maxMessageBytes - 2000, ""},
		{maxMessageBytes + 1, fmt.Sprintf("tlstunnel refused the peer's handshake: it sent a message of %d bytes, where 40960 are the most", maxMessageBytes+1)},
	} {
		peer := mustDial(t, p.tunnels[0].addr)
		hello := paddedHello(test.size)
		_, err := peer.Write(hello)
		check(t, err)
		answer := make([]byte, 1)
		_, err = io.ReadFull(peer, answer)
		check(t, err)
		peer.tcp.Close()
		rec := p.tunnels[0].logs.next(t, i)
		want := byte(tlsio.RecordHandshake)
		if test.reason != "" {
			want = tlsio.RecordAlert
		}
		if answer[0] != want || test.reason != "" && rec.text("reason") != test.reason {
			t.Error(answer, rec)
		}
	}
}

// The tunnel refuses a ClientHello with a long list, whatever the list contains.
func TestLongLists(t *testing.T) {
	needMessages(t)
	leakCheck(t)
	p := newPath(t, "server", nil)
	vector := func(b []byte) []byte { return append([]byte{byte(len(b) >> 8), byte(len(b))}, b...) }
	list := func(kind byte, entry ...byte) func(n int) []byte {
		return func(n int) []byte { return append([]byte{0, kind}, vector(vector(bytes.Repeat(entry, n)))...) }
	}
	for i, test := range []struct {
		what       string
		n          int
		extensions func(n int) []byte
	}{
		{"", maxListed, list(16, 1, 'a')},
		{"protocols", maxListed + 1, list(16, 1, 'a')},
		{"protocols", 19_000, list(16, 1, 'a')},
		{"key shares", 7000, list(51, 0x7a, 0x7a, 0, 1, 0)},
		{"groups", maxListed + 1, list(10, 0x7a, 0x7a)},
		{"signature algorithms", maxListed + 1, list(13, 0x7a, 0x7a)},
		{"signature algorithms", maxListed + 1, list(50, 0x7a, 0x7a)},
		{"session tickets", maxListed + 1, list(41, 0, 1, 0, 0, 0, 0, 0)},
		{"binders", 19_000, func(n int) []byte {
			tickets, binders := vector([]byte{0, 1, 0, 0, 0, 0, 0}), vector(bytes.Repeat([]byte{1, 0}, n))
			return append([]byte{0, 41}, vector(append(tickets, binders...))...)
		}},
		{"extensions", maxListed + 1, func(n int) (all []byte) {
			for kind := range n {
				all = append(all, 0x7a, byte(kind), 0, 0)
			}
			return all
		}},
		{"cipher suites", 19_000, nil},
	} {
		hello := helloWith(nil, test.n)
		if test.extensions != nil {
			hello = helloWith(test.extensions(test.n), 0)
		}
		peer := mustDial(t, p.tunnels[0].addr)
		_, err := peer.Write(hello)
		check(t, err)
		answer := make([]byte, 7)
		_, err = io.ReadFull(peer, answer)
		check(t, err)
		peer.tcp.Close()
		rec := p.tunnels[0].logs.next(t, i)
		if test.what == "" {
			if answer[0] != tlsio.RecordHandshake {
				t.Errorf("% x, %v", answer, rec)
			}
			continue
		}
		want := fmt.Sprintf("tlstunnel refused the peer's handshake: its first message lists more than 400 %s", test.what)
		if answer[0] != tlsio.RecordAlert || answer[6] != 40 || rec.text("reason") != want {
			t.Errorf("% x, %v", answer, rec)
		}
	}
}

// paddedHello is a ClientHello of size bytes at least.
func paddedHello(size int) []byte {
	padding := max(0, size-len(clientHello(clientTLS()))+tlsio.RecordHeader)
	return helloWith(append([]byte{0, 21, byte(padding >> 8), byte(padding)}, make([]byte, padding)...), 0)
}

// helloWith is a ClientHello with so many more cipher suites, and with these extensions
// before the others. It takes as many records as it needs.
func helloWith(extensions []byte, suites int) (all []byte) {
	hello := clientHello(clientTLS())[tlsio.RecordHeader:]
	at := messageHeader + 2 + 32
	at += 1 + int(hello[at])
	n := int(hello[at])<<8 + int(hello[at+1])
	ours := hello[at+2 : at+2+n]
	message := append([]byte{}, hello[:at]...)
	message = append(message, byte((n+2*suites)>>8), byte(n+2*suites))
	message = append(append(message, ours...), bytes.Repeat([]byte{0x7a, 0x7a}, suites)...)
	at += 2 + n
	compression := 1 + int(hello[at])
	message = append(message, hello[at:at+compression]...)
	extensions = append(extensions, hello[at+compression+2:]...)
	message = append(append(message, byte(len(extensions)>>8), byte(len(extensions))), extensions...)
	length := len(message) - messageHeader
	message[1], message[2], message[3] = byte(length>>16), byte(length>>8), byte(length)
	for len(message) > 0 {
		n := min(tlsio.MaxRecord, len(message))
		all = append(append(all, 22, 3, 1, byte(n>>8), byte(n)), message[:n]...)
		message = message[n:]
	}
	return all
}

// A peer may send each byte of a usual ClientHello in a record of its own, but not those of a
// long one.
func TestManyRecords(t *testing.T) {
	needMessages(t) // without them, the refusal is a reset
	leakCheck(t)
	p := newPath(t, "server", nil)
	for i, size := range []int{0, 2 * maxRecords} {
		var pieces []byte
		for _, b := range paddedHello(size)[tlsio.RecordHeader:] {
			pieces = append(pieces, tlsio.RecordHandshake, 3, 1, 0, 1, b)
		}
		peer := mustDial(t, p.tunnels[0].addr)
		_, err := peer.Write(pieces)
		check(t, err)
		answer := make([]byte, 7)
		_, err = io.ReadFull(peer, answer)
		check(t, err)
		peer.tcp.Close()
		rec := p.tunnels[0].logs.next(t, i)
		refused := rec.text("reason") == "tlstunnel refused the peer's handshake: it came in more than 2000 records"
		if many := size > 0; refused != many || (answer[0] == tlsio.RecordAlert) != many {
			t.Errorf("%d bytes: % x, %v", size, answer, rec)
		}
	}
}
