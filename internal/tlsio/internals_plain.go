//go:build !(go1.26 && !go1.28) || plaintls

package tlsio

import "crypto/tls"

// internals are those of a crypto/tls that nobody has read: none. See internals.go.
type internals struct{}

func internalsOf(*tls.Conn) internals { return internals{} }

func (*internals) knowsHandshake() bool { return false }

func (*internals) areEmpty() bool { return false }

func (*internals) releaseBuffers() {}

func (*internals) releaseMessages() {}

func (*internals) begun() []byte { return nil }

func (*internals) messages([RecordHeader]byte, []byte) (said []byte, encrypted bool, free func()) {
	return nil, false, func() {}
}

func (*internals) alertRecord(tls.AlertError) []byte { return nil }
