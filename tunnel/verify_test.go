package tunnel

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/date"
	"tlstunnel/internal/testkit"
)

// What the client tunnel logs of a target that it doesn't trust or can't speak to. None of
// the peer's bytes reaches such a target.
func TestTargetIsVerified(t *testing.T) {
	otherCA := testkit.NewCA("Other CA")
	hour := time.Hour
	past, future := time.Now().Add(-2*hour), time.Now().Add(2*hour)
	leafOnly := func(c tls.Certificate) tls.Certificate { c.Certificate = c.Certificate[:1]; return c }
	selfSigned := func() tls.Certificate {
		a := testkit.NewCA("Old Box")
		return tls.Certificate{Certificate: [][]byte{a.Raw}, PrivateKey: a.Key}
	}()
	otherLeaf := otherCA.Issue(serverName).TLS()
	print := func(c *x509.Certificate) string { return fingerprint(c.Raw) }
	shows := func(c tls.Certificate) func(net.Conn) {
		return speaksTLS(&tls.Config{Certificates: []tls.Certificate{c}})
	}
	says := func(banner string) func(net.Conn) {
		return func(c net.Conn) { _, _ = io.WriteString(c, banner); _, _ = io.Copy(io.Discard, c) }
	}
	const refused = "tlstunnel refused the target's certificate: "
	bigHello := fmt.Sprintf(" (some firewalls and old servers lose or refuse a first message as large as ours, %d bytes: try the environment variable GODEBUG=tlsmlkem=0, see docs/connections.md)", len(clientHello(clientTLS())))

	tests := []struct {
		name   string
		serve  func(net.Conn)
		edit   func(*tls.Config)
		by     string
		reason string
	}{
		{"unknown CA", shows(otherLeaf), nil, byTunnel, refused +
			`the CA "CN=Other CA" (SHA-256 ` + print(otherCA.Certificate) + `) isn't trusted here; if you trust it, add its certificate to ca of this tunnel`},
		{"unknown CA that isn't sent", shows(leafOnly(otherLeaf)), nil, byTunnel, refused +
			fmt.Sprintf(`the certificate of "CN=Other CA", which issued "CN=pacs.clinic.example", wasn't sent and isn't trusted here (key id %x); if that is a CA between it and one that is trusted, the target's administrator adds it to the file of its certificate; else, if you trust it, add its certificate to ca of this tunnel`, otherCA.SubjectKeyId)},
		{"self-signed", shows(selfSigned), func(c *tls.Config) { c.ServerName = "127.0.0.1" }, byTunnel, refused +
			`expected the name "127.0.0.1", but it is for no name at all (only the subject "CN=Old Box", which doesn't count); if this is the right machine, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)`},
		{"other name", shows(testCA().Issue("ris.clinic.example", func(c *x509.Certificate) { c.IPAddresses = []net.IP{net.IPv4(10, 0, 0, 7)} }).TLS()), nil, byTunnel, refused +
			`expected the name "pacs.clinic.example", but it is for "ris.clinic.example", 10.0.0.7; if this is the right machine, set server_name to a name of its certificate, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)`},
		{"eleven other names", shows(testCA().Issue("ris.clinic.example", func(c *x509.Certificate) {
			c.DNSNames = []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}
		}).TLS()), nil, byTunnel, refused +
			`expected the name "pacs.clinic.example", but it is for "a", "b", "c", "d", "e", "f", "g", "h", "i", "j" and 1 others; if this is the right machine, set server_name to a name of its certificate, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)`},
		{"expired", shows(testCA().Issue(serverName, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = past.Add(-hour), past }).TLS()), nil, byTunnel, refused +
			fmt.Sprintf(`"CN=pacs.clinic.example" is valid from %s to %s, and here it is NOW: renew it, or set this machine's clock right`, date.Time(past.Add(-hour)), date.Time(past))},
		{"not yet valid", shows(testCA().Issue(serverName, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = future, future.Add(hour) }).TLS()), nil, byTunnel, refused +
			fmt.Sprintf(`"CN=pacs.clinic.example" is valid from %s to %s, and here it is NOW: set this machine's clock right, or wait`, date.Time(future), date.Time(future.Add(hour)))},
		{"for clients only", shows(testCA().Issue(serverName, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} }).TLS()), nil, byTunnel, refused +
			`"CN=pacs.clinic.example" isn't meant for TLS servers, but for TLS client (extended key usage): have one issued with the extended usage "TLS server"`},
		{"TLS 1.1 only", speaksTLS(&tls.Config{Certificates: []tls.Certificate{serverCert()}, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}), nil, byTarget,
			"the target speaks no version of TLS that this tunnel's profile allows"},
		{"no ALPN in common", speaksTLS(&tls.Config{Certificates: []tls.Certificate{serverCert()}, NextProtos: []string{"h2"}}),
			func(c *tls.Config) { c.NextProtos = []string{"dicom"} }, byTarget,
			"the target speaks none of the protocols in alpn"},
		{"client certificate wanted, TLS 1.2", speaksTLS(&tls.Config{Certificates: []tls.Certificate{serverCert()}, MaxVersion: tls.VersionTLS12, ClientAuth: tls.RequireAndVerifyClientCert}), nil, byTarget,
			"the target wants a client certificate: set cert and key"},
		{"plain HTTP", says("HTTP/1.1 400 Bad Request\r\n\r\n"), nil, byTarget, "the target isn't speaking TLS: plain HTTP; is mode right?"},
		{"plain SMTP", says("220 mail.clinic.example ESMTP\r\n"), nil, byTarget, "the target isn't speaking TLS: a server that greets first, as SMTP and FTP do; is mode right?"},
		{"plain MySQL", says("\x4a\x00\x00\x00\x0a8.0.36\x00"), nil, byTarget, "the target isn't speaking TLS: MySQL, which greets in plain text and asks for TLS in its own way; is mode right?"},
		{"plain MySQL that refuses us", says("\x45\x00\x00\x00\xff\x6a\x04Host"), nil, byTarget, "the target isn't speaking TLS: MySQL, which greets in plain text and asks for TLS in its own way; is mode right?"},
		{"plain DICOM that refuses us", says("\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01"), nil, byTarget, "the target isn't speaking TLS: DICOM without TLS; is mode right?"},
		{"closes at once", func(c net.Conn) { c.Close() }, nil, byTarget, "the target closed in the middle of the TLS handshake: it doesn't speak TLS at this port, or it refuses this machine; its own log knows" + bigHello},
		{"says nothing", says(""), nil, byTarget, "the target didn't finish the TLS handshake within handshake_timeout: does it speak TLS at this port?" + bigHello},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakCheck(t)
			config := clientTLS()
			if test.edit != nil {
				test.edit(config)
			}
			target := listen(t)
			served := make(chan struct{})
			go func() {
				defer close(served)
				c, err := target.Accept()
				if err == nil {
					defer c.Close()
					test.serve(c)
				}
			}()
			r := start(t, Settings{Targets: []Target{{Address: target.Addr().String(), TLS: config}}, HandshakeTimeout: 500 * time.Millisecond})
			dialInVain(t, r.addr)
			<-served
			logged := r.logs.next(t, 0)
			want := strings.ReplaceAll(test.reason, "NOW", date.Time(logged.time))
			if before := logged.time.Add(-time.Second); logged.text("reason") != want {
				want = strings.ReplaceAll(test.reason, "NOW", date.Time(before)) // a second began in between
			}
			r.logs.expect(t, 0, slog.LevelWarn, "target failed", test.by, want)
		})
	}
}

// speaksTLS is a server that says nothing after its handshake.
func speaksTLS(config *tls.Config) func(net.Conn) {
	return func(c net.Conn) {
		_ = tls.Server(c, config).Handshake()
		_, _ = io.Copy(io.Discard, c)
	}
}

// Self-signed, with the right name.
func TestSelfSignedTarget(t *testing.T) {
	leakCheck(t)
	key := testkit.NewKey()
	template := *serverCert().Leaf
	template.PublicKey = nil
	box := testkit.Sign(&template, key, nil)
	target := listen(t)
	r := start(t, Settings{Targets: []Target{{Address: target.Addr().String(), TLS: clientTLS()}}})
	peer := mustDial(t, r.addr)
	accepted, err := target.Accept()
	check(t, err)
	defer accepted.Close()
	_ = tls.Server(accepted, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{box.Raw}, PrivateKey: key}}}).Handshake()
	wantReset(t, peer)
	r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTunnel,
		`tlstunnel refused the target's certificate: the self-signed certificate "CN=pacs.clinic.example" (SHA-256 `+fingerprint(box.Raw)+
			`) isn't trusted here; if you trust it, add its certificate to ca of this tunnel`)
}

func requireClientCert(s *Settings) {
	if s.Front != nil {
		s.Front.ClientAuth, s.Front.ClientCAs = tls.RequireAndVerifyClientCert, testCA().Pool()
	}
}

func TestClientCertificate(t *testing.T) {
	strangers := testkit.NewCA("Strangers' CA")
	stranger := strangers.Issue("modality-8").TLS()
	good := clientCert()
	titled := testCA().Issue("modality-9", func(c *x509.Certificate) {
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: []int{2, 5, 4, 6}, Value: "KR"}, {Type: oidCN, Value: "modality-9"}, {Type: []int{1, 2, 840, 113549, 1, 9, 1}, Value: "it@clinic.example"},
		}}
	}).TLS()
	tests := []struct {
		name     string
		version  uint16
		cert     *tls.Certificate
		level    slog.Level
		reason   string
		identity string
	}{
		{"none", tls.VersionTLS13, nil, slog.LevelInfo, "the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none", ""},
		{"none, TLS 1.2", tls.VersionTLS12, nil, slog.LevelInfo, "the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none", ""},
		{"unknown CA", tls.VersionTLS13, &stranger, slog.LevelWarn, `tlstunnel refused the peer's certificate: the CA "CN=Strangers' CA" (SHA-256 ` +
			fingerprint(strangers.Raw) + `) isn't trusted here; if you trust it, add its certificate to client_ca of this tunnel`, ""},
		{"good", tls.VersionTLS13, &good, slog.LevelInfo, "end of stream", "CN=modality-7"},
		{"good, of many fields", tls.VersionTLS13, &titled, slog.LevelInfo, "end of stream", "C=KR, CN=modality-9, emailAddress=it@clinic.example"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "server", requireClientCert)
			config := clientTLS()
			config.MaxVersion = test.version
			if test.cert != nil {
				// With a certificate alone, the client would send none to a server that
				// doesn't name its CA.
				config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return test.cert, nil }
			}
			peer := mustDial(t, p.tunnels[0].addr)
			err := peer.secure(tls.Client, config)
			if test.identity == "" {
				if err == nil {
					_, err = peer.Read(make([]byte, 1))
				}
				if err == nil || err == io.EOF {
					t.Errorf("the peer got %v, want an alert", err)
				}
				p.tunnels[0].logs.expect(t, 0, test.level, "handshake failed", byTunnel, test.reason)
				return
			}
			check(t, err)
			target, err := p.accept()
			check(t, err)
			defer target.tcp.Close()
			check(t, exchange(peer, target))
			check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
			rec := p.tunnels[0].logs.expect(t, 0, test.level, "connection closed", byPeer, test.reason)
			if rec.text("identity") != test.identity {
				t.Error(rec)
			}
		})
	}
}

// What both logs of a pair say when one tunnel refuses the other.
func TestPairRefusesEachOther(t *testing.T) {
	strangers := testkit.NewCA("Strangers' CA")
	stranger := strangers.Issue("modality-8").TLS()
	otherCA := testkit.NewCA("Other CA")
	type line struct {
		level               slog.Level
		message, by, reason string
	}
	clinicCA := `the CA "CN=Clinic CA" (SHA-256 ` + fingerprint(testCA().Raw) + ")"
	tests := []struct {
		name           string
		edit           func(*Settings)
		client, server line
	}{
		{
			"no client certificate", requireClientCert,
			line{slog.LevelWarn, "connection interrupted", byTarget, "the target wants a client certificate: set cert and key"},
			line{slog.LevelInfo, "handshake failed", byTunnel, "the peer sent no client certificate, and client_auth requires one: give it a certificate and key that a CA of client_ca issued; if it has one, that is from another CA, and many programs then send none"},
		}, {
			"client certificate of an unknown CA",
			func(s *Settings) {
				requireClientCert(s)
				if s.Front == nil {
					s.Targets[0].TLS.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &stranger, nil }
				}
			},
			line{slog.LevelWarn, "connection interrupted", byTarget, `the target refused tlstunnel's certificate: it doesn't trust the CA "CN=Strangers' CA" (SHA-256 ` +
				fingerprint(strangers.Raw) + "); give it that CA's certificate"},
			line{slog.LevelWarn, "handshake failed", byTunnel, `tlstunnel refused the peer's certificate: the CA "CN=Strangers' CA" (SHA-256 ` +
				fingerprint(strangers.Raw) + ") isn't trusted here; if you trust it, add its certificate to client_ca of this tunnel"},
		}, {
			"server certificate of an unknown CA",
			func(s *Settings) {
				if s.Front == nil {
					s.Targets[0].TLS.RootCAs = otherCA.Pool()
				}
			},
			line{slog.LevelWarn, "target failed", byTunnel, "tlstunnel refused the target's certificate: " + clinicCA + " isn't trusted here; if you trust it, add its certificate to ca of this tunnel"},
			line{slog.LevelWarn, "handshake failed", byPeer, "the peer refused tlstunnel's certificate: perhaps it doesn't trust " + clinicCA + ", or expects another name; its own log knows"},
		}, {
			"server certificate from a live source",
			func(s *Settings) {
				if s.Front == nil {
					s.Targets[0].TLS.ServerName = "ris.clinic.example"
					return
				}
				s.Front.Certificates = nil
				s.Front.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { c := serverCert(); return &c, nil }
			},
			line{slog.LevelWarn, "target failed", byTunnel, `tlstunnel refused the target's certificate: expected the name "ris.clinic.example", but it is for "pacs.clinic.example"; if this is the right machine, set server_name to a name of its certificate, have this name added to it (a tlstunnel there has names in [pki] for that), or pin its key here (pins in place of ca)`},
			line{slog.LevelWarn, "handshake failed", byPeer, "the peer refused tlstunnel's certificate: perhaps it doesn't trust " + clinicCA + ", or expects another name; its own log knows"},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "pair", test.edit)
			dialInVain(t, p.tunnels[0].addr)
			for i, want := range []line{test.client, test.server} {
				p.tunnels[i].logs.expect(t, 0, want.level, want.message, want.by, want.reason)
			}
		})
	}
}

// By its alert, a peer can't say that the dates are the reason. What our own file shows says
// it.
func TestOwnCertificateOutOfDate(t *testing.T) {
	hour := time.Hour
	for name, tt := range map[string]struct {
		from, to time.Duration
		want     string
	}{
		"expired":       {-3 * hour, -2 * hour, ` expired on `},
		"not yet valid": {2 * hour, 3 * hour, ` isn't valid before `},
	} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, "pair", func(s *Settings) {
				if s.Front != nil {
					s.Front.Certificates = []tls.Certificate{testCA().Issue(serverName, func(c *x509.Certificate) {
						c.NotBefore, c.NotAfter = time.Now().Add(tt.from), time.Now().Add(tt.to)
					}).TLS()}
				}
			})
			dialInVain(t, p.tunnels[0].addr)
			reason := p.tunnels[1].logs.next(t, 0).text("reason")
			if !strings.Contains(reason, `the peer refused tlstunnel's certificate: "CN=`+serverName+`"`+tt.want) {
				t.Errorf("got %q", reason)
			}
		})
	}
}
