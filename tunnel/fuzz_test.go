package tunnel

import (
	"crypto/tls"
	"io"
	"testing"
	"time"
)

// Whatever a peer sends first to a TLS port, its connection ends in time with one log record,
// and the next connection works.
func FuzzFirstBytes(f *testing.F) {
	hello := clientHello(clientTLS())
	for _, seed := range [][]byte{
		nil, {0}, {0x16}, hello[:5], hello[:100], hello, append(hello[:len(hello):len(hello)], hello...),
		[]byte("GET / HTTP/1.1\r\n\r\n"), []byte("SSH-2.0-x\r\n"), []byte("\x15\x03\x01\x00\x02\x02\x28"),
		[]byte("\x80\x2e\x01\x00\x02"), []byte("\x16\x03\x01\xff\xff"), []byte("\x16\x03\x01\x00\x00"),
		[]byte("\x14\x03\x03\x00\x01\x01"), []byte("\x17\x03\x03\x00\x01\x00"),
		clientHello(&tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12}),
	} {
		f.Add(seed)
	}
	p := newPath(f, "server", func(s *Settings) { s.HandshakeTimeout = 300 * time.Millisecond })
	p.echo(f)
	known := 0
	f.Fuzz(func(t *testing.T, first []byte) {
		began := time.Now()
		peer := mustDial(t, p.tunnels[0].addr)
		_, _ = peer.Write(first)
		_ = peer.tcp.CloseWrite()
		_, _ = io.Copy(io.Discard, peer.tcp)
		if rec := p.tunnels[0].logs.next(t, known); rec.message != "handshake failed" || rec.text("reason") == "" {
			t.Error(rec)
		}
		known++

		config := clientTLS()
		config.CurvePreferences = []tls.CurveID{tls.X25519} // the quickest
		peer = mustDialTLS(t, p.tunnels[0].addr, config)
		check(t, send(peer, 10), receive(peer, 10), peer.CloseWrite(), receiveEnd(peer))
		if rec := p.tunnels[0].logs.next(t, known); rec.message != "connection closed" {
			t.Error(rec)
		}
		known++
		if n := p.tunnels[0].logs.count(); n != known {
			t.Errorf("%d log records for %d connections", n, known)
		}
		if took := time.Since(began); took > patience {
			t.Errorf("it took %v", took)
		}
	})
}
