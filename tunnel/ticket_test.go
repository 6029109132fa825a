package tunnel

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"
)

// Many clients send a message and close at once, without a close_notify and without having
// read anything. Not a byte of it is lost.
func TestSendAndClose(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequireAndVerifyClientCert} {
			for _, size := range []int64{100, 300_000} {
				t.Run(fmt.Sprintf("%s/%v/%d", tls.VersionName(version), auth, size), func(t *testing.T) {
					leakCheck(t)
					p := newPath(t, "server", func(s *Settings) {
						s.Front.ClientAuth, s.Front.ClientCAs = auth, testCA().Pool()
					})
					config := clientTLS()
					config.MaxVersion = version
					config.Certificates = []tls.Certificate{clientCert()}
					config.ClientSessionCache = tls.NewLRUClientSessionCache(0) // asks for tickets
					for i := range 20 {
						peer := mustDialTLS(t, p.tunnels[0].addr, config)
						check(t, peer.tcp.SetNoDelay(false)) // as programs in C do
						check(t, send(peer, size), peer.tcp.Close())
						target, err := p.accept()
						check(t, err)
						if err := receiveAll(target, size); err != nil {
							t.Errorf("connection %d: %v", i, err)
						}
						target.tcp.Close()
					}
				})
			}
		}
	}
}

// A client that asks for no ticket gets its Finished message at once.
func TestNoTicketAsked(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	peer, target := p.open(t) // without a session cache
	check(t, exchange(peer, target))
	_, err := io.WriteString(peer, "x")
	check(t, err)
}
