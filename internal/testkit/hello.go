package testkit

import (
	"crypto/tls"
	"net"
	"time"
)

// ClientHello is the first flight of a client of crypto/tls.
func ClientHello(config *tls.Config) []byte {
	first := &firstFlight{}
	_ = tls.Client(first, config).Handshake()
	return first.written
}

// firstFlight is a connection that takes what is written and gives nothing.
type firstFlight struct {
	net.Conn
	written []byte
}

func (f *firstFlight) Write(b []byte) (int, error) {
	f.written = append(f.written, b...)
	return len(b), nil
}
func (f *firstFlight) Read([]byte) (int, error)         { return 0, net.ErrClosed }
func (f *firstFlight) Close() error                     { return nil }
func (f *firstFlight) SetWriteDeadline(time.Time) error { return nil }
