package tunnel

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net"
	"testing"
)

// Many programs end TLS with a bare FIN. The tunnel accepts that, counts it and logs it.
func TestBareFINIsAccepted(t *testing.T) {
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			rude, other := p.open(t)
			by := byPeer
			if mode == "client" {
				rude, other, by = other, rude, byTarget
			}
			check(t, send(rude, 1000), rude.tcp.CloseWrite())
			check(t, receiveAll(other, 1000))
			check(t, send(other, 1<<20), other.CloseWrite())
			check(t, receiveAll(rude, 1<<20))
			p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", by, "end of stream without close_notify")
			if got := p.tunnels[0].Stats(); got.NoCloseNotify != 1 || got.Completed != 1 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// A FIN in the middle of a record can't be an end of stream.
func TestFINAmidARecordIsAnError(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	peer, target := p.open(t)
	check(t, exchange(peer, target))
	_, err := peer.tcp.Write([]byte{0x17, 0x03, 0x03, 0x01, 0x00, 1, 2, 3}) // 3 of 256 bytes
	check(t, err, peer.tcp.CloseWrite())
	if err := receiveEnd(target); err == nil {
		t.Error("the target got an end of stream")
	}
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer,
		"the peer closed the connection in the middle of a TLS record")
}

// We end our own stream with a close_notify, and go on reading.
func TestCloseNotifyIsSent(t *testing.T) {
	for _, mode := range []string{"server", "client"} {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			watched := new(finWatcher)
			watch := func(e *end, role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
				watched.Conn = e.tcp
				c := role(watched, config)
				e.stream = c
				return c.Handshake()
			}
			secure, plain := mustDial(t, p.tunnels[0].addr), (*end)(nil)
			if mode == "server" {
				check(t, watch(secure, tls.Client, clientTLS()))
			}
			accepted, err := p.target.Accept()
			check(t, err)
			plain = newEnd(accepted)
			defer plain.tcp.Close()
			if mode == "client" {
				secure, plain = plain, secure
				check(t, watch(secure, tls.Server, serverTLS()))
			}

			check(t, send(plain, 1000), plain.CloseWrite())
			check(t, receiveAll(secure, 1000))
			if watched.fin {
				t.Error("the end of stream was a FIN, not a close_notify")
			}
			check(t, send(secure, 1000), secure.CloseWrite())
			check(t, receiveAll(plain, 1000))
			if n, err := watched.Read(make([]byte, 1)); n != 0 || err != io.EOF {
				t.Errorf("after close_notify: %d bytes and %v, want the FIN", n, err)
			}
		})
	}
}

// finWatcher notes a FIN, which crypto/tls reports as it does a close_notify.
type finWatcher struct {
	net.Conn
	fin bool
}

func (w *finWatcher) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.fin = w.fin || err == io.EOF
	return n, err
}
