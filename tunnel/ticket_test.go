package tunnel

import (
	"crypto/tls"
	"fmt"
	"io"
	"testing"
)

// A client that sends a message and closes at once, without a close_notify and
// without having read anything, as many do: not a byte is lost.
func TestSendAndClose(t *testing.T) {
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, auth := range []tls.ClientAuthType{tls.NoClientCert, tls.RequireAndVerifyClientCert} {
			for _, size := range []int64{100, 300_000} {
				t.Run(fmt.Sprintf("%s/%v/%d", tls.VersionName(version), auth, size), func(t *testing.T) {
					leakCheck(t)
					p := newPath(t, "server", func(s *Settings) {
						s.Front.ClientAuth, s.Front.ClientCAs = auth, testCA().pool()
					})
					config := clientTLS()
					config.MaxVersion = version
					config.Certificates = []tls.Certificate{clientCert()}
					config.ClientSessionCache = tls.NewLRUClientSessionCache(0) // asks for tickets
					for i := range 20 {
						peer := mustDialTLS(t, p.tunnels[0].addr, config)
						check(t, peer.tcp.SetNoDelay(false)) // as C programs have it
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

// The ticket that is held back goes with the first bytes, in one piece.
func TestTicketIsCut(t *testing.T) {
	record := func(kind byte, length int) []byte {
		return append([]byte{kind, 3, 3, byte(length >> 8), byte(length)}, make([]byte, length)...)
	}
	const handshake, changeCipherSpec, alert, data = 22, 20, 21, 23
	flight := func(records ...[]byte) (all []byte) {
		for _, r := range records {
			all = append(all, r...)
		}
		return all
	}
	hello, ccs, cert := record(handshake, 90), record(changeCipherSpec, 1), record(data, 900)
	finished, finished384, ticket := record(data, 53), record(data, 69), record(data, 210)
	tests := []struct {
		name   string
		flight []byte
		ticket int
	}{
		{"with a ticket", flight(hello, ccs, cert, finished, ticket), len(ticket)},
		{"SHA-384", flight(hello, ccs, cert, finished384, ticket), len(ticket)},
		{"without", flight(hello, ccs, cert, finished), 0},
		{"without, SHA-384", flight(hello, ccs, cert, finished384), 0},
		{"after a client certificate", ticket, len(ticket)},
		{"a hello retry request", flight(hello, ccs), 0},
		{"TLS 1.2", flight(hello, record(handshake, 900), record(handshake, 4)), 0},
		{"an alert", record(data, 19), 0},
		{"a plain alert", record(alert, 2), 0},
		{"nothing", nil, 0},
		{"half a record", hello[:3], 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			rest, ticket := cutTicket(tt.flight)
			if len(ticket) != tt.ticket || len(rest)+len(ticket) != len(tt.flight) {
				t.Errorf("%d and %d bytes, want %d in the end", len(rest), len(ticket), tt.ticket)
			}
		})
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
