package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// rsaCA is a CA with an RSA key, which old programs need.
var rsaCA = sync.OnceValue(func() *testkit.Cert { return testkit.NewCAFor(testkit.RSAKey(2048), "RSA CA") })

// rsaIssue makes a server's certificate of rsaCA; edit may change its bytes.
func rsaIssue(edit func(der []byte) []byte) tls.Certificate {
	cert := rsaCA().IssueFor(testkit.RSAKey(2048), serverName).TLS()
	if edit != nil {
		cert.Certificate[0] = edit(cert.Certificate[0])
	}
	return cert
}

// In neither mode does the reason blame a CA that is trusted. It names what is wrong with the
// chain.
func TestTrustedCAIsNotAccused(t *testing.T) {
	root := testCA()
	issuing, before := root.Issue("Issuing 1", testkit.AsCA), root.Issue("Issuing 1", testkit.AsCA)
	leaf := issuing.Issue(serverName).TLS()
	shows := func(key any, certs ...[]byte) tls.Certificate {
		return tls.Certificate{Certificate: certs, PrivateKey: key}
	}
	const missing = `the certificate of "CN=Issuing 1", which issued "CN=pacs.clinic.example", wasn't sent`
	for _, test := range []struct {
		name  string
		shown tls.Certificate
		want  string // with WHO and LIST
	}{
		{"without the CA in between", shows(leaf.PrivateKey, leaf.Certificate[0], root.Raw),
			missing + ": the WHO's administrator adds it to the file of its certificate, or you add it to LIST of this tunnel"},
		{"with the CA of before", shows(leaf.PrivateKey, leaf.Certificate[0], before.Raw),
			missing + ", but one of the same name with another key, as from before a renewal: the WHO's administrator adds it to the file of its certificate in its place, or you add it to LIST of this tunnel"},
		{"signed with SHA-1", rsaIssue(testkit.WithSHA1), `"CN=pacs.clinic.example" is signed with SHA-1 (SHA1-RSA), which isn't accepted: have it issued anew`},
	} {
		trusted := []*x509.Certificate{root.Certificate, rsaCA().Certificate}
		pool := root.Pool()
		pool.AddCert(rsaCA().Certificate)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			want := func(who, list string) string {
				return "tlstunnel refused the " + who + "'s certificate: " + strings.NewReplacer("WHO", who, "LIST", list).Replace(test.want)
			}
			t.Run(test.name+", target, "+tls.VersionName(version), func(t *testing.T) {
				leakCheck(t)
				target := serveTLS(t, &tls.Config{Certificates: []tls.Certificate{test.shown}, MaxVersion: version})
				config := clientTLS()
				config.RootCAs = pool
				r := start(t, Settings{Targets: []Target{{Address: target, TLS: config}}, Trusted: trusted})
				dialInVain(t, r.addr)
				r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel, want("target", "ca"))
			})
			t.Run(test.name+", peer, "+tls.VersionName(version), func(t *testing.T) {
				leakCheck(t)
				p := newPath(t, "server", func(s *Settings) {
					s.Front.ClientAuth, s.Front.ClientCAs, s.Trusted = tls.RequireAndVerifyClientCert, pool, trusted
				})
				config := clientTLS()
				config.MaxVersion = version
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &test.shown, nil }
				_ = mustDial(t, p.tunnels[0].addr).secure(tls.Client, config)
				p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "handshake failed", byTunnel, want("peer", "client_ca"))
			})
		}
	}
}

// serveTLS is a server that does handshakes and sends nothing more until the test ends.
func serveTLS(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	return testkit.Serve(t, testkit.Listen(t), speaksTLS(config))
}

// A Go or OpenSSL client sends no certificate if the server names only CAs other than the
// client's. Neither log asks for something that is set or present already.
func TestClientCertificateOfAnotherCA(t *testing.T) {
	strangers := testkit.NewCA("Strangers' CA")
	stranger := strangers.Issue("modality-8").TLS()
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		t.Run(tls.VersionName(version), func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "pair", func(s *Settings) {
				requireClientCert(s)
				if s.Front == nil {
					s.Targets[0].TLS.Certificates = []tls.Certificate{stranger}
					s.Targets[0].TLS.MaxVersion = version
				}
			})
			dialInVain(t, p.tunnels[0].addr)
			r := p.tunnels[0].logs.next(t, 0)
			want := `the target wants a client certificate from one of its CAs, "CN=Clinic CA"; ours is from the CA "CN=Strangers' CA" (SHA-256 ` + fingerprint(strangers.Raw) +
				`), so it wasn't sent: set cert and key to one that one of those issued, or have the target accept that CA`
			if r.text("reason") != want || r.level != slog.LevelWarn {
				t.Errorf("\ngot  %v\nwant %s", r, want)
			}
			p.tunnels[1].logs.expect(t, 0, slog.LevelInfo, "handshake failed", byTunnel,
				"the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none")
		})
	}
}

// The target speaks TLS itself on what should be its plain port. Neither program understands
// a byte, and both logs say so.
func TestTargetSpeaksTLS(t *testing.T) {
	const (
		alerts         = "the target speaks TLS itself: it answered plain bytes with an alert; "
		behindAlerts   = "the program behind " + alerts
		closes         = "the target closed before it had sent a byte: its own log knows why; if "
		plainPort      = `target must be its plain port; for its TLS port, take a tunnel with mode = "client"`
		plainPortThere = "the target of the tunnel there must be its plain port"
	)
	sends := func(alert string) func(net.Conn, <-chan struct{}) {
		return func(c net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(c, alert) }
	}
	for _, test := range []struct {
		name           string
		serve          func(c net.Conn, arrived <-chan struct{})
		server, client string
	}{
		{"and says so", sends("\x15\x03\x01\x00\x02\x02\x46"), alerts + plainPort, behindAlerts + plainPortThere},
		{"and pads that", sends("\x15\x03\x01\x00\x04\x02\x46\x00\x00"), alerts + plainPort, behindAlerts + plainPortThere},
		{"and says so in two pieces", func(c net.Conn, arrived <-chan struct{}) {
			_, _ = io.WriteString(c, "\x15\x03\x01")
			<-arrived
			_, _ = io.WriteString(c, "\x00\x02\x02\x46")
		}, alerts + plainPort, behindAlerts + plainPortThere},
		{"and closes", func(c net.Conn, _ <-chan struct{}) { _, _ = io.ReadAtLeast(c, make([]byte, 5), 5) },
			closes + "the target speaks TLS itself, " + plainPort, closes + "the program behind the target speaks TLS itself, " + plainPortThere},
	} {
		t.Run(test.name, func(t *testing.T) {
			leakCheck(t)
			arrived := make(chan struct{})
			target := testkit.Serve(t, testkit.Listen(t), func(c net.Conn) {
				test.serve(c, arrived)
				_ = c.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, c)
			})
			server := start(t, Settings{Front: serverTLS(), Targets: []Target{{Address: target}}})
			client := start(t, Settings{Targets: []Target{{Address: server.addr, TLS: clientTLS()}}})
			peer := mustDial(t, client.addr)
			_, err := io.WriteString(peer, "HELO\n")
			check(t, err)
			_, _ = peer.Read(make([]byte, 1))
			close(arrived)
			_, _ = io.ReadAll(peer)
			check(t, peer.CloseWrite())
			server.logs.expect(t, 0, slog.LevelWarn, "connection closed", byTarget, test.server)
			client.logs.expect(t, 0, slog.LevelWarn, "connection closed", byTarget, test.client)
		})
	}
}

// If both programs speak TLS within TLS, the log doesn't suspect the target, even if the
// target ends that by an alert. Nor does it suspect a server that answers nothing, if the
// peer ends first.
func TestTargetIsNotSuspect(t *testing.T) {
	for name, sent := range map[string]struct{ peer, target string }{
		"TLS within TLS": {string(clientHello(clientTLS())), "\x15\x03\x03\x00\x02\x02\x28"},
		"one way only":   {"<13>a line of a log\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", nil)
			peer, target := p.open(t)
			_, err := io.WriteString(peer, sent.peer)
			check(t, err)
			_, err = io.ReadFull(target, make([]byte, len(sent.peer)))
			check(t, err)
			_, err = io.WriteString(target, sent.target)
			check(t, err)
			_, err = io.ReadFull(peer, make([]byte, len(sent.target)))
			check(t, err, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
			p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
		})
	}
}

// The peer asks for a server name with a dot at its end, which crypto/tls can't decode.
func TestServerNameWithDot(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	config := clientTLS()
	hello := string(clientHello(config))
	dotted := strings.Replace(hello, serverName, serverName[:len(serverName)-1]+".", 1)
	peer := mustDial(t, p.tunnels[0].addr)
	_, err := io.WriteString(peer, dotted)
	check(t, err)
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "handshake failed", byPeer,
		`the peer asks for the name "`+serverName[:len(serverName)-1]+`.", with a dot at its end, which TLS doesn't allow there: it must leave the dot out`)
}

// However a target reacts to a first message that it finds too large, the reason names the
// size. If the message isn't large, the reason doesn't.
func TestBigHello(t *testing.T) {
	const hint = "GODEBUG=tlsmlkem=0"
	readsAll := func(c net.Conn) { _, _ = io.ReadAtLeast(c, make([]byte, 4096), 200) }
	for name, serveConn := range map[string]func(net.Conn){
		"never answers": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"resets":        func(c net.Conn) { readsAll(c); _ = c.(*net.TCPConn).SetLinger(0); c.Close() },
		"closes":        func(c net.Conn) { readsAll(c) },
		"alert 80": func(c net.Conn) {
			readsAll(c)
			_, _ = io.WriteString(c, "\x15\x03\x01\x00\x02\x02\x50")
			_, _ = io.Copy(io.Discard, c)
		},
		"alert 50": func(c net.Conn) {
			readsAll(c)
			_, _ = io.WriteString(c, "\x15\x03\x03\x00\x02\x02\x32")
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		for _, large := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, large %v", name, large), func(t *testing.T) {
				leakCheck(t)
				config := clientTLS()
				if !large {
					config.CurvePreferences = []tls.CurveID{tls.X25519}
				}
				r := start(t, Settings{Targets: []Target{{Address: testkit.Serve(t, testkit.Listen(t), serveConn), TLS: config}}, HandshakeTimeout: 300 * time.Millisecond})
				dialInVain(t, r.addr)
				rec := r.logs.next(t, 0)
				if strings.Contains(rec.text("reason"), hint) != large || rec.message != "target failed" {
					t.Error(rec)
				}
			})
		}
	}
}

// A target wants a certificate, gets none, and resets without an alert, as some programs do.
func TestTargetResetsWithoutCertificate(t *testing.T) {
	leakCheck(t)
	config := serverTLS()
	config.ClientAuth = tls.RequestClientCert
	target := testkit.Serve(t, testkit.Listen(t), func(c net.Conn) {
		_ = tls.Server(c, config).Handshake()
		_ = c.(*net.TCPConn).SetLinger(0)
	})
	r := start(t, Settings{Targets: []Target{{Address: target, TLS: clientTLS()}}})
	dialInVain(t, r.addr)
	r.logs.expect(t, 0, slog.LevelWarn, "connection interrupted", byTarget,
		"the target reset the connection before it had sent a byte, perhaps as it wants a client certificate: set cert and key")
}

// If a peer closes without an alert, it may have seen a fault that our own file shows.
func TestPeerLeavesOurCertificate(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", func(s *Settings) {
		s.Front.Certificates = []tls.Certificate{testCA().Issue(serverName, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).TLS()}
	})
	peer := mustDial(t, p.tunnels[0].addr)
	_, err := peer.Write(clientHello(clientTLS()))
	check(t, err)
	peer.tcp.Close()
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "handshake failed", byPeer, "the peer closed in the middle of the TLS handshake; some programs do so when they don't trust our certificate"+
		`, and of ours, "CN=pacs.clinic.example" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`)
}

// A target asks for a certificate, gets none and refuses that. The reason is the same for
// every alert that it may send.
func TestAlertWithoutCertificate(t *testing.T) {
	leakCheck(t)
	config := serverTLS()
	config.ClientAuth = tls.RequestClientCert
	config.VerifyConnection = func(tls.ConnectionState) error { return io.ErrUnexpectedEOF } // Go sends bad_certificate
	r := start(t, Settings{Targets: []Target{{Address: serveTLS(t, config), TLS: clientTLS()}}})
	dialInVain(t, r.addr)
	r.logs.expect(t, 0, slog.LevelWarn, "connection interrupted", byTarget, "the target wants a client certificate: set cert and key")
}
