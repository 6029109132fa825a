package tunnel

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
)

// After a handshake, KeyUpdates, which may ask for an answer, and session tickets of a server
// come between the bytes, split at any place. In between, tlsio takes back the buffers of
// crypto/tls. The race detector shows by this test that tlsio and crypto/tls never touch them
// at the same time.
func TestPostHandshakeFlood(t *testing.T) {
	const rounds = 150
	for _, mode := range []string{"server", "client"} {
		for _, largest := range []int{1, 100, 40_000} { // bytes of a piece
			t.Run(fmt.Sprintf("%s/%d", mode, largest), func(t *testing.T) {
				leakCheck(t)
				p := newPath(t, mode, nil)
				raw, plain := p.openRaw(t)
				data := noise()[:rounds*100]
				var all []byte
				for i := range rounds {
					if i%15 == 0 { // crypto/tls takes no more than 16 answers in a row
						all = append(all, raw.keyUpdate(t)...)
					} else {
						all = append(all, raw.quietKeyUpdate(t)...)
					}
					if mode == "client" {
						all = append(all, raw.record(t, handshakeRecord, sessionTicket)...)
					}
					all = append(all, raw.record(t, dataRecord, data[i*100:(i+1)*100])...)
				}
				all = append(all, raw.record(t, alertRecord, []byte{1, 0})...)
				check(t, together(
					func() error {
						for len(all) > 0 {
							n := min(1+rand.IntN(largest), len(all))
							if largest == 1 && len(all) > 5000 { // enough to cut some of each kind at each byte
								n = len(all) - 5000
							}
							if _, err := raw.tcp.Write(all[:n]); err != nil {
								return err
							}
							all = all[n:]
						}
						return nil
					},
					func() error { return receiveAll(plain, rounds*100) },
					func() error { return send(plain, 1<<20) },
					func() error { return receive(raw, 1<<20) }))
				check(t, plain.CloseWrite(), receiveEnd(raw))
				by := byPeer
				if mode == "client" {
					by = byTarget
				}
				p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", by, "end of stream")
			})
		}
	}
}

// TestLongMessageAfterHandshake: a peer can't make the tunnel hold a long handshake message by
// sending only a part of it.
func TestLongMessageAfterHandshake(t *testing.T) {
	needMessages(t)
	leakCheck(t)
	p := newPath(t, "server", nil)
	raw, plain := p.openRaw(t)
	begun := append([]byte{24, 0, 0xea, 0x60}, noise()[:2000]...) // a KeyUpdate of 60,000 bytes
	check(t, raw.sendRecords(raw.record(t, dataRecord, noise()[:100]), raw.record(t, handshakeRecord, begun)), receive(plain, 100))
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer, "TLS with the peer failed")
}

// sessionTicket is a NewSessionTicket (RFC 8446, section 4.6.1) for a day.
var sessionTicket = append([]byte{4, 0, 0, 4 + 4 + 2 + 2 + 32 + 2, 0, 1, 0x51, 0x80, 1, 2, 3, 4, 1, 7, 0, 32}, append(make([]byte, 32), 0, 0)...)
