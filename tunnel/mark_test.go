package tunnel

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"testing"

	"tlstunnel/internal/testkit"
	"tlstunnel/internal/tlsio"
)

const (
	reasonCut    = " was cut off on the way, for example by a proxy or a firewall: its stream ended without the close_notify that a tlstunnel sends"
	reasonNoWord = ` ended its stream without close_notify, and close_notify is "require": it may be cut off; if the `
)

// bridge is a proxy of TCP between a client tunnel and a server tunnel, which can cut
// a stream off by a FIN.
type bridge struct {
	listener *net.TCPListener
	to       string // the server tunnel
	piece    int    // how many bytes it passes on at once
	links    chan *link
	running  sync.WaitGroup
}

type link struct{ client, server *net.TCPConn }

func newBridge(t *testing.T, to string, piece int) *bridge {
	t.Helper()
	b := &bridge{listener: listen(t), to: to, piece: cmp.Or(piece, 64<<10), links: make(chan *link, 10)}
	b.running.Go(b.serve)
	t.Cleanup(func() {
		b.listener.Close()
		b.running.Wait()
	})
	return b
}

func (b *bridge) serve() {
	for {
		client, err := b.listener.AcceptTCP()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", b.to)
		if err != nil {
			client.Close()
			continue
		}
		l := &link{client, server.(*net.TCPConn)}
		b.running.Go(func() {
			defer l.client.Close()
			defer l.server.Close()
			_ = together(func() error { return b.pass(l.client, l.server) }, func() error { return b.pass(l.server, l.client) })
		})
		b.links <- l
	}
}

func (b *bridge) pass(from, to *net.TCPConn) error {
	_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, b.piece))
	return to.CloseWrite()
}

// tunnelPath is a client tunnel, a bridge and a server tunnel before a target.
type tunnelPath struct {
	client, server *running
	bridge         *bridge
	target         *net.TCPListener
}

func newTunnelPath(t *testing.T, front, back *tls.Config, piece int) *tunnelPath {
	t.Helper()
	p := &tunnelPath{target: listen(t)}
	p.server = start(t, Settings{Name: "server", Front: front, Targets: []Target{{Address: p.target.Addr().String()}}})
	p.bridge = newBridge(t, p.server.addr, piece)
	p.client = start(t, Settings{Name: "client", Targets: []Target{{Address: p.bridge.listener.Addr().String(), TLS: back}}})
	return p
}

// open makes a connection through all of it.
func (p *tunnelPath) open(t *testing.T) (peer, target *end, via *link) {
	t.Helper()
	peer = mustDial(t, p.client.addr)
	accepted, err := p.target.Accept()
	check(t, err)
	t.Cleanup(func() { accepted.Close() })
	target = newEnd(accepted)
	check(t, exchange(peer, target))
	return peer, target, <-p.bridge.links
}

// Two tlstunnels demand close_notify of each other, whatever their TLS settings agree on.
func TestTunnelsDemandCloseNotify(t *testing.T) {
	resuming := clientTLS()
	resuming.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	version := func(config *tls.Config, v uint16) *tls.Config {
		config.MaxVersion = v
		return config
	}
	resuming12 := version(resuming.Clone(), tls.VersionTLS12)
	resuming12.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	edited := func(config *tls.Config, edit func(*tls.Config)) *tls.Config {
		edit(config)
		return config
	}
	for name, test := range map[string]struct {
		front, back *tls.Config
		rounds      int
		piece       int // how many bytes the bridge passes on at once
	}{
		"TLS 1.3":                           {serverTLS(), clientTLS(), 1, 0},
		"TLS 1.2":                           {serverTLS(), version(clientTLS(), tls.VersionTLS12), 1, 0},
		"resumed, TLS 1.3":                  {serverTLS(), resuming, 3, 0},
		"resumed, TLS 1.2":                  {serverTLS(), resuming12, 3, 0},
		"in small pieces":                   {serverTLS(), clientTLS(), 1, 7},
		"another key exchange than offered": {edited(serverTLS(), func(c *tls.Config) { c.CurvePreferences = []tls.CurveID{tls.CurveP384} }), clientTLS(), 1, 0},
		"protocols": {edited(serverTLS(), func(c *tls.Config) { c.NextProtos = []string{"dicom"} }),
			edited(clientTLS(), func(c *tls.Config) { c.NextProtos = []string{"hl7", "dicom"} }), 1, 0},
		"protocols of the server alone": {edited(serverTLS(), func(c *tls.Config) { c.NextProtos = []string{"dicom"} }), clientTLS(), 1, 0},
		"a certificate got by a function": {&tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			cert := serverCert()
			return &cert, nil
		}}, clientTLS(), 1, 0},
		"another config for each": {&tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return serverTLS(), nil
		}}, clientTLS(), 1, 0},
		"client certificates": {
			edited(serverTLS(), func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, testCA().Pool() }),
			edited(clientTLS(), func(c *tls.Config) { c.Certificates = []tls.Certificate{clientCert()} }), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			p := newTunnelPath(t, test.front, test.back, test.piece)
			for round := range test.rounds {
				for i, cut := range []func(*link) error{
					func(l *link) error { return l.server.CloseWrite() }, // what the client tunnel says
					func(l *link) error { return l.client.CloseWrite() },
				} {
					peer, target, via := p.open(t)
					check(t, cut(via))
					wantReset(t, peer)
					wantReset(t, target)
					by, r := byPeer, p.server
					if i == 1 {
						by, r = byTarget, p.client
					}
					rec := r.logs.expect(t, 2*round+i, slog.LevelWarn, "connection interrupted", by, "the connection to the "+by+reasonCut)
					if resumed := rec.attrs["resumed"].Bool(); resumed != (2*round+i > 0 && test.rounds > 1) {
						t.Errorf("resumed is %v", resumed)
					}
					p.client.logs.next(t, 2*round+i)
					p.server.logs.next(t, 2*round+i)
				}
			}
		})
	}
}

// A stream that ends with close_notify doesn't look cut off, whichever end is first.
func TestTunnelsEndAsEver(t *testing.T) {
	leakCheck(t)
	p := newTunnelPath(t, serverTLS(), clientTLS(), 0)
	peer, target, _ := p.open(t)
	check(t, send(peer, 1000), peer.CloseWrite(), receiveAll(target, 1000))
	check(t, send(target, 1000), target.CloseWrite(), receiveAll(peer, 1000))
	p.client.logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
	p.server.logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
}

// With RequireCloseNotify, a bare FIN of any program is an error.
func TestRequireCloseNotify(t *testing.T) {
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, func(s *Settings) { s.RequireCloseNotify = true })
			secure, plain := p.open(t)
			by := byPeer
			if mode == "client" {
				secure, plain, by = plain, secure, byTarget
			}
			check(t, send(secure, 1000), secure.tcp.CloseWrite(), receive(plain, 1000))
			wantReset(t, plain)
			wantReset(t, secure)
			p.tunnels[0].logs.expect(t, 0, slog.LevelWarn, "connection interrupted", by, "the "+by+reasonNoWord+by+` never sends one, set "auto"`)

			secure, plain = p.open(t)
			if mode == "client" {
				secure, plain = plain, secure
			}
			check(t, send(secure, 1000), secure.CloseWrite(), receiveAll(plain, 1000), plain.CloseWrite(), receiveEnd(secure))
			p.tunnels[0].logs.expect(t, 1, slog.LevelInfo, "connection closed", by, "end of stream")
		})
	}
}

// Programs other than tlstunnel see nothing of the marks.
func TestMarksAreForTunnelsAlone(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	peer, _ := p.open(t)
	if scts := peer.stream.(*tls.Conn).ConnectionState().SignedCertificateTimestamps; len(scts) > 0 {
		t.Errorf("a client that isn't a tlstunnel got %q", scts)
	}

	// A server that isn't a tlstunnel sees the same as from any client in Go.
	hello := func(config *tls.Config) (seen *tls.ClientHelloInfo, start []byte) {
		theirs, ours := connect(t)
		server := serverTLS()
		server.GetConfigForClient = func(h *tls.ClientHelloInfo) (*tls.Config, error) {
			seen = h
			return nil, errors.New("seen")
		}
		c := tlsio.Server(asSock(t, ours), server)
		_ = together(func() error { return c.Handshake(t.Context(), tlsio.Watch{}) }, func() error {
			defer theirs.tcp.Close()
			return theirs.secure(tls.Client, config)
		})
		return seen, c.First()
	}
	marked, first := hello(markHello(clientTLS()))
	plain, other := hello(clientTLS())
	if !slices.Equal(marked.Extensions, plain.Extensions) || !slices.Equal(marked.CipherSuites, plain.CipherSuites) || len(marked.SupportedProtos) > 0 {
		t.Errorf("a server sees\n%+v\ninstead of\n%+v", marked, plain)
	}
	_, second := hello(markHello(clientTLS()))
	switch {
	case !hasMark(first) || !hasMark(second):
		t.Error("a mark isn't seen")
	case hasMark(other):
		t.Error("a mark is seen where there is none")
	case bytes.Equal(first, second):
		t.Error("two handshakes have the same random value")
	}
}

// The marker replaces the source of random bytes for the hello's random value only.
// crypto/tls takes nothing that is secret from it.
func TestHelloMarkerIsReadOnce(t *testing.T) {
	config := markHello(clientTLS())
	marker := config.Rand
	theirs, ours := connect(t)
	server := newEnd(ours)
	check(t, together(
		func() error { return theirs.secure(tls.Client, config) },
		func() error { return server.secure(tls.Server, serverTLS()) }))
	if marker == nil || config.Rand != nil {
		t.Error("crypto/tls goes on to take random bytes from the marker")
	}
}

// What a server tunnel demands of other programs, it demands of a tlstunnel as well.
func TestTunnelsMeetAllDemands(t *testing.T) {
	leakCheck(t)
	weak := testCA().IssueFor(testkit.RSAKey(1024), "modality-7").TLS()
	p := newPath(t, "server", requireClientCert)
	config := clientTLS()
	config.Certificates = []tls.Certificate{weak}
	peer := mustDial(t, p.tunnels[0].addr)
	_ = peer.secure(tls.Client, markHello(config))
	if rec := p.tunnels[0].logs.next(t, 0); rec.message != "handshake failed" {
		t.Error(rec)
	}
}
