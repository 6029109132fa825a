package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// wantAlert checks that e, which still sends, learns by an alert why r gave up its
// connection. r has logged that by now.
func wantAlert(t *testing.T, e *end, alert string) {
	t.Helper()
	for range 3 { // a reset answers the first write, and fails the second
		if _, err := e.tcp.Write(make([]byte, 20<<10)); err != nil {
			t.Fatalf("the connection was closed at once: %v", err)
		}
	}
	_, err := e.Read(make([]byte, 1))
	var remote *net.OpError
	if !errors.As(err, &remote) || remote.Op != "remote error" || !strings.Contains(err.Error(), alert) {
		t.Errorf("got %v, want the alert %q", err, alert)
	}
}

// A peer whose certificate is refused has already finished its own part of a TLS 1.3
// handshake, and sends its data.
func TestAlertToRefusedPeer(t *testing.T) {
	stranger := testkit.NewCA("Strangers' CA").Issue("modality-8").TLS()
	for name, cert := range map[string]*tls.Certificate{"certificate required": {}, "unknown certificate authority": &stranger} {
		t.Run(name, func(t *testing.T) {
			p := newPath(t, "server", requireClientCert)
			config := clientTLS()
			config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return cert, nil }
			peer := mustDialTLS(t, p.tunnels[0].addr, config)
			check(t, send(peer, 20<<10))
			p.tunnels[0].logs.next(t, 0)
			wantAlert(t, peer, name)
		})
	}
}

// A target whose certificate is refused learns why by an alert, also if it sends a greeting
// first.
func TestAlertToRefusedTarget(t *testing.T) {
	target := listen(t)
	r := start(t, Settings{Name: "client", Targets: []Target{{Address: target.Addr().String(),
		TLS: &tls.Config{RootCAs: testkit.NewCA("Other CA").Pool(), ServerName: serverName}}}})
	mustDial(t, r.addr)
	accepted, err := target.Accept()
	check(t, err)
	e := newEnd(accepted)
	defer e.tcp.Close()
	config := serverTLS()
	config.MaxVersion = tls.VersionTLS12 // in TLS 1.2 the alert comes within the handshake
	if err := e.secure(tls.Server, config); err == nil || !strings.Contains(err.Error(), "bad certificate") {
		t.Fatalf("the handshake ended with %v, want an alert", err)
	}
	r.logs.next(t, 0)
	for range 3 {
		if _, err := e.tcp.Write(make([]byte, 20<<10)); err != nil {
			t.Fatalf("the connection was closed at once: %v", err)
		}
	}
}

// While bytes are relayed, either side can send something that ends the connection.
func TestAlertAmidRelay(t *testing.T) {
	for _, mode := range []string{"server", "client"} {
		for name, test := range map[string]struct {
			alert string
			send  func(*rawTLS) []byte
		}{
			"a bad record": {"bad record MAC", func(r *rawTLS) []byte {
				b := r.record(t, dataRecord, []byte("hello"))
				b[len(b)-1]++
				return b
			}},
			"a message unknown here": {"decoding", func(r *rawTLS) []byte { return r.record(t, handshakeRecord, certificateRequest) }},
			"a wrong KeyUpdate":      {"", func(r *rawTLS) []byte { return r.record(t, handshakeRecord, []byte{24, 0, 0, 1, 7}) }},
			"a record too long":      {"record overflow", func(*rawTLS) []byte { return append([]byte{dataRecord, 3, 3, 0xff, 0xff}, make([]byte, 100)...) }},
			"another protocol":       {"", func(*rawTLS) []byte { return []byte("GET / HTTP/1.1\r\n\r\n") }},
			"a message out of turn":  {"unexpected message", func(r *rawTLS) []byte { return r.record(t, handshakeRecord, []byte{20, 0, 0, 0}) }},
		} {
			t.Run(mode+"/"+name, func(t *testing.T) {
				p := newPath(t, mode, nil)
				raw, plain := p.openRaw(t)
				check(t, raw.sendRecords(raw.record(t, dataRecord, noise()[:100]), test.send(raw)))
				check(t, receive(plain, 100))
				wantReset(t, plain)
				if r := p.tunnels[0].logs.next(t, 0); r.message != "connection interrupted" {
					t.Error(r)
				}
				wantAlert(t, raw.end, test.alert)
			})
		}
	}
}

// openRaw makes a connection whose end with TLS is under the test's control.
func (p *path) openRaw(t *testing.T) (raw *rawTLS, plain *end) {
	t.Helper()
	front := mustDial(t, p.tunnels[0].addr)
	if p.mode == "server" {
		raw = secureRaw(t, front, clientTLS(), byPeer)
	}
	accepted, err := p.target.Accept()
	check(t, err)
	t.Cleanup(func() { accepted.Close() })
	if p.mode == "server" {
		return raw, newEnd(accepted)
	}
	return secureRaw(t, newEnd(accepted), serverTLS(), byTarget), front
}

// afterEnd makes a connection whose TLS end has ended its stream and goes on sending. It has
// an answer that it hasn't read yet.
func afterEnd(t *testing.T, mode string, version uint16, answer int64, edit func(secure *end, r *running)) (secure *end, sent chan error) {
	t.Helper()
	p := newPath(t, mode, func(s *Settings) {
		if mode == "server" {
			s.Front.MaxVersion = version
		} else {
			s.Targets[0].TLS.MaxVersion = version
		}
	})
	secure, plain := p.open(t)
	if mode == "client" {
		secure, plain = plain, secure
	}
	edit(secure, p.tunnels[0])
	sent = make(chan error, 1)
	check(t, send(secure, 1000), secure.CloseWrite())
	_ = secure.tcp.SetWriteDeadline(time.Now().Add(patience)) // crypto/tls has ended it
	go func() {
		_, err := secure.tcp.Write(noise()) // no TLS record begins like this
		sent <- errors.Join(err, secure.tcp.CloseWrite())
	}()
	check(t, receiveAll(plain, 1000))
	eventually(t, "it sends what nobody reads", func() bool {
		r := p.tunnels[0].live.relays()
		return len(r) == 1 && r[0].sideWithTLS().socket.Unread() > 0
	})
	check(t, send(plain, answer), plain.CloseWrite())
	p.tunnels[0].logs.next(t, 0)
	return secure, sent
}

func (c *conn) sideWithTLS() *side {
	if c.front.tls != nil {
		return c.front
	}
	return c.back
}

// The tunnel ignores what a side sends after its close_notify, and the side still gets the
// answer.
func TestBytesAfterCloseNotify(t *testing.T) {
	const answer = 200 << 10
	for _, mode := range []string{"server", "client"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(mode+"/"+tls.VersionName(version), func(t *testing.T) {
				leakCheck(t)
				secure, sent := afterEnd(t, mode, version, answer, func(*end, *running) {})
				check(t, receiveAll(secure, answer), <-sent)
			})
		}
	}
	t.Run("while strangers are rejected", func(t *testing.T) {
		leakCheck(t)
		secure, sent := afterEnd(t, "server", tls.VersionTLS13, answer, func(_ *end, r *running) {
			for range maxLingering {
				r.rejected.places <- struct{}{}
			}
		})
		check(t, receiveAll(secure, answer), <-sent)
	})
	t.Run("too many at once", func(t *testing.T) {
		leakCheck(t)
		secure, sent := afterEnd(t, "server", tls.VersionTLS13, answer, func(_ *end, r *running) {
			for range maxLingering {
				r.answered.places <- struct{}{}
			}
		})
		if receiveAll(secure, answer) == nil {
			t.Error("the connection wasn't closed at once")
		}
		<-sent
	})
}

// A rejected peer that goes on sending holds no more than its share, and not for long.
func TestLingeringIsBounded(t *testing.T) {
	rejected := func(t *testing.T, r *running) *end {
		before := r.logs.count()
		peer := mustDial(t, r.addr)
		if err := peer.secure(tls.Client, &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}); err == nil {
			t.Fatal("TLS 1.0 was accepted")
		}
		r.logs.next(t, before)
		return peer
	}
	t.Run("number", func(t *testing.T) {
		leakCheck(t)
		r := newPath(t, "server", nil).tunnels[0]
		for range maxLingering {
			r.rejected.places <- struct{}{}
		}
		peer := rejected(t, r)
		eventually(t, "the connection is closed at once", func() bool {
			_, err := peer.tcp.Write([]byte{1})
			return err != nil
		})
		for range maxLingering {
			<-r.rejected.places
		}
	})
	t.Run("bytes", func(t *testing.T) {
		leakCheck(t)
		r := newPath(t, "server", nil).tunnels[0]
		peer := rejected(t, r)
		if err := send(peer.tcp, 64<<20); err == nil {
			t.Error("the tunnel read 64 MB of a rejected peer")
		}
	})
	t.Run("time", func(t *testing.T) {
		leakCheck(t)
		r := newPath(t, "server", nil).tunnels[0]
		rejected(t, r)
		eventually(t, "it isn't waited for any more", func() bool { return len(r.rejected.places) == 0 })
	})
	t.Run("stop", func(t *testing.T) {
		leakCheck(t)
		atOnce(t, "a stop", func() time.Duration {
			r := newPath(t, "server", nil).tunnels[0]
			rejected(t, r)
			began := time.Now()
			check(t, r.Shutdown(context.Background()))
			return time.Since(began)
		})
	})
}
