package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"
)

const (
	reasonEarly        = "the peer closed before it had said what TLS it wants"
	reasonSilent       = "the peer sent nothing within handshake_timeout: a program without TLS that waits for the server to speak first does so"
	reasonLate         = "the peer didn't finish the TLS handshake within handshake_timeout"
	reasonNoTurn       = "there were more handshakes than this machine can do: this one had no turn within handshake_timeout"
	reasonOld          = "the peer speaks only versions of TLS older than this tunnel's profile allows: update it"
	reasonNoCommon     = "the peer has no cipher suite or key exchange in common with this tunnel's profile"
	reasonSlowExchange = "the peer offers only the key exchange P-521, which is slow, and which this tunnel's profile leaves out: have it offer X25519 or P-256, or set profile = \"legacy\" in this tunnel"
	goSchemes          = "the signatures PSSWithSHA256, ECDSAWithP256AndSHA256, Ed25519, PSSWithSHA384, PSSWithSHA512 and "
	reasonALPN         = "the peer offers none of the protocols in alpn"
)

func TestBadInput(t *testing.T) {
	sends := func(b string) func(*end) {
		return func(e *end) { _, _ = e.Write([]byte(b)) }
	}
	sendsAndCloses := func(b string) func(*end) {
		return func(e *end) { sends(b)(e); e.tcp.Close() }
	}
	speaks := func(config *tls.Config) func(*end) {
		config.InsecureSkipVerify = true // the handshake ends before the verification
		return func(e *end) { _ = e.secure(tls.Client, config) }
	}
	hello := string(clientHello(clientTLS()))
	type badInput struct {
		name   string
		act    func(*end)
		level  slog.Level
		by     string
		reason string
	}
	tests := []badInput{
		{"connects and closes", func(e *end) { e.tcp.Close() }, slog.LevelDebug, byPeer, reasonEarly},
		{"connects and resets", (*end).reset, slog.LevelDebug, byPeer, reasonEarly},
		{"half a record header", sendsAndCloses("\x16\x03"), slog.LevelDebug, byPeer, reasonEarly},
		{"half a ClientHello", sendsAndCloses(hello[:100]), slog.LevelDebug, byPeer, reasonEarly},
		{"a ClientHello and no more", sendsAndCloses(hello), slog.LevelInfo, byPeer,
			"the peer closed in the middle of the TLS handshake; some programs do so when they don't trust our certificate"},

		{"HTTP", sends("GET / HTTP/1.1\r\nHost: pacs\r\n\r\n"), slog.LevelInfo, byPeer, notTLS("plain HTTP")},
		{"HTTP CONNECT", sends("CONNECT pacs:104 HTTP/1.1\r\n\r\n"), slog.LevelInfo, byPeer, notTLS("plain HTTP")},
		{"HTTP/2", sends("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), slog.LevelInfo, byPeer, notTLS("plain HTTP/2")},
		{"SSH", sends("SSH-2.0-OpenSSH_9.2p1\r\n"), slog.LevelInfo, byPeer, notTLS("SSH")},
		{"DICOM", sends("\x01\x00\x00\x00\x00\xcd\x00\x01\x00\x00PACS            "), slog.LevelInfo, byPeer, notTLS("DICOM without TLS")},
		{"HL7", sends("\x0bMSH|^~\\&|LAB|CLINIC|\r\x1c\r"), slog.LevelInfo, byPeer, notTLS("HL7 (MLLP) without TLS")},
		{"PostgreSQL", sends("\x00\x00\x00\x08\x04\xd2\x16\x2f"), slog.LevelInfo, byPeer, notTLS("PostgreSQL, which asks for TLS in its own way")},
		{"DICOM, refusing", sends("\x03\x00\x00\x00\x00\x04\x00\x01\x01\x01"), slog.LevelInfo, byPeer, notTLS("DICOM without TLS")},
		{"DICOM, aborting", sends("\x07\x00\x00\x00\x00\x04\x00\x00\x00\x00"), slog.LevelInfo, byPeer, notTLS("DICOM without TLS")},
		{"Modbus/TCP", sends("\x00\x01\x00\x00\x00\x06\x01\x03\x00\x00\x00\x0a"), slog.LevelInfo, byPeer, notTLS("Modbus/TCP without TLS")},
		{"Modbus/TCP that begins as DICOM", sends("\x01\x00\x00\x00\x00\x06\x01\x03\x00\x00\x00\x0a"), slog.LevelInfo, byPeer, notTLS("Modbus/TCP without TLS")},
		{"LDAP", sends("\x30\x0c\x02\x01\x01\x60\x07\x02\x01\x03\x04\x00\x80\x00"), slog.LevelInfo, byPeer, notTLS("LDAP without TLS")},
		{"LDAP by Windows", sends("\x30\x84\x00\x00\x00\x10\x02\x01\x01\x60\x84\x00\x00\x00\x07\x02\x01\x03\x04\x00\x80\x00"), slog.LevelInfo, byPeer, notTLS("LDAP without TLS")},
		{"LDAP, a search", sends("\x30\x25\x02\x01\x01\x63\x20\x04\x00"), slog.LevelInfo, byPeer, notTLS("LDAP without TLS")},
		{"SNMP", sends("\x30\x29\x02\x01\x00\x04\x06public"), slog.LevelInfo, byPeer, notTLS(`it began with "0)\x02\x01\x00"`)},
		{"Redis", sends("*1\r\n$4\r\nPING\r\n"), slog.LevelInfo, byPeer, notTLS("Redis without TLS")},
		{"Redis by hand", sends("PING\r\n"), slog.LevelInfo, byPeer, notTLS("Redis without TLS")},
		{"PROXY header", sends("PROXY TCP4 192.0.2.7 192.0.2.1 51324 2762\r\n"), slog.LevelInfo, byPeer, notTLS("a PROXY header, which isn't supported: turn it off in the load balancer")},
		{"PROXY header, version 2", sends("\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c"), slog.LevelInfo, byPeer, notTLS("a PROXY header, which isn't supported: turn it off in the load balancer")},
		{"RDP", sends("\x03\x00\x00\x13\x0e\xe0\x00\x00\x00\x00\x00"), slog.LevelInfo, byPeer, notTLS("RDP (TPKT)")},
		{"SSL 2.0", sends("\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10"), slog.LevelInfo, byPeer, notTLS("a greeting of SSL 2.0")},
		{"noise", sends("\xe2\x9c\x93\x00\x07\x5a"), slog.LevelInfo, byPeer, notTLS(`it began with "✓\x00\a"`)},
		{"noise in the shape of a record", sends("\x16\x03\x01\x00\x05\xff\x00\x00\x01\x00"), slog.LevelInfo, byPeer, "TLS with the peer failed"},

		{"TLS 1.0 only", speaks(&tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS10}), slog.LevelInfo, byTunnel, reasonOld},
		{"TLS 1.1 only", speaks(&tls.Config{MinVersion: tls.VersionTLS11, MaxVersion: tls.VersionTLS11}), slog.LevelInfo, byTunnel, reasonOld},
		{"other cipher suites", speaks(&tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_RC4_128_SHA}}),
			slog.LevelInfo, byTunnel, reasonNoCommon + ": it offers the cipher suites TLS_RSA_WITH_RC4_128_SHA, the groups X25519, CurveP256, CurveP384, CurveP521, " + goSchemes + "5 others"},
		{"other key exchange", speaks(&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}, MinVersion: tls.VersionTLS13}), slog.LevelInfo, byTunnel, reasonSlowExchange},
		{"other key exchange, TLS 1.2", speaks(&tls.Config{CurvePreferences: []tls.CurveID{tls.CurveP521}, MaxVersion: tls.VersionTLS12}), slog.LevelInfo, byTunnel, reasonSlowExchange},
		{"other ALPN", speaks(&tls.Config{NextProtos: []string{"http/1.1"}}), slog.LevelInfo, byTunnel, reasonALPN},

		{"stalls at once", func(*end) {}, slog.LevelInfo, byTunnel, reasonSilent},
		{"stalls in its ClientHello", sends(hello[:100]), slog.LevelInfo, byTunnel, reasonLate},
		{"stalls after its ClientHello", sends(hello), slog.LevelInfo, byTunnel, reasonLate},
	}
	leakCheck(t)
	server := func(limit time.Duration) *path {
		return newPath(t, "server", func(s *Settings) {
			s.HandshakeTimeout = limit
			s.Front.NextProtos = []string{"dicom"}
			s.Front.CurvePreferences = []tls.CurveID{tls.X25519}
		})
	}
	// A busy machine can be late by itself. So only the last three tests, which wait for the
	// limit to pass, have a short one.
	const stalling = 3
	first := server(patience)
	for p, tests := range map[*path][]badInput{first: tests[:len(tests)-stalling], server(150 * time.Millisecond): tests[len(tests)-stalling:]} {
		for i, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				peer := mustDial(t, p.tunnels[0].addr)
				test.act(peer)
				rec := p.tunnels[0].logs.expect(t, i, test.level, "handshake failed", test.by, test.reason)
				if rec.text("err") == "" || !strings.HasPrefix(rec.text("peer"), "127.0.0.1:") {
					t.Error(rec)
				}
			})
		}
		if got, want := p.tunnels[0].Stats(), (Stats{HandshakeFailed: int64(len(tests))}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	check(t, exchange(first.open(t)))
}

// A plain program that speaks to the TLS port by mistake gets no answer, but an end of the
// connection: HTTP clients wait for it.
func TestPlainPeerIsLetGo(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	peer := mustDial(t, p.tunnels[0].addr)
	check(t, send(peer, 5))
	if n, err := peer.Read(make([]byte, 100)); n > 0 || err == nil {
		t.Errorf("got %d bytes and %v", n, err)
	}
}

// A thousand connections that send nothing don't get in the way of others.
func TestSilentConnections(t *testing.T) {
	leakCheck(t)
	const silent, limit = 1000, 4 * time.Second
	p := newPath(t, "server", func(s *Settings) { s.HandshakeTimeout = limit })
	r := p.tunnels[0]
	for range silent {
		mustDial(t, r.addr)
	}
	began := time.Now()
	peer, target := p.open(t)
	check(t, exchange(peer, target))
	if took := time.Since(began); took > limit/2 {
		t.Errorf("a real client was served after %v", took)
	}
	if n := r.live.count(); n < silent/2 {
		t.Errorf("only %d were there meanwhile", n)
	}
	eventually(t, "the silent ones are gone", func() bool { return r.live.count() == 1 })
	for _, rec := range r.logs.wait(t, silent) {
		if rec.level != slog.LevelInfo || rec.text("reason") != reasonSilent {
			t.Fatal(rec)
		}
	}
}

// Peers that stall after their ClientHello hold no turn while they stall.
func TestStalledHandshakes(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	r := p.tunnels[0]
	hello := clientHello(clientTLS())
	for range 10 * runtime.GOMAXPROCS(0) {
		stalled := mustDial(t, r.addr)
		_, err := stalled.Write(hello)
		check(t, err)
		_, err = io.ReadFull(stalled, make([]byte, 100)) // it has had its turn
		check(t, err)
	}
	check(t, exchange(p.open(t)))
}

// If all turns are taken for the whole of handshake_timeout, the log says so.
func TestNoTurnForAHandshake(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", func(s *Settings) { s.HandshakeTimeout = 300 * time.Millisecond })
	r := p.tunnels[0]
	turns := runtime.GOMAXPROCS(0)
	for range turns {
		check(t, handshakeTurns.acquire(t.Context(), netip.Prefix{}, false))
	}
	peer := mustDial(t, r.addr)
	_, err := peer.Write(clientHello(clientTLS()))
	check(t, err)
	r.logs.expect(t, 0, slog.LevelWarn, "handshake failed", byTunnel, reasonNoTurn)
	for range turns {
		handshakeTurns.release()
	}
	check(t, exchange(p.open(t)))
}

// If the given config has a GetConfigForClient of its own, the tunnel calls that too.
func TestGetConfigForClientIsKept(t *testing.T) {
	leakCheck(t)
	errNo := errors.New("no")
	p := newPath(t, "server", func(s *Settings) {
		s.Front.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errNo }
	})
	if _, err := p.dial(); err == nil {
		t.Error("the tunnel didn't call the hook")
	}
	rec := p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "handshake failed", byPeer, "TLS with the peer failed")
	if rec.attrs["err"].String() != errNo.Error() {
		t.Error(rec)
	}
}

func notTLS(what string) string {
	return "the peer isn't speaking TLS: " + what + "; is mode right?"
}
