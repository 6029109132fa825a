package tunnel

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

// rawTLS is an end of TLS 1.3 that can also send what crypto/tls never would.
type rawTLS struct {
	*end
	keys   bytes.Buffer // the key log
	secret string       // its label there
	sent   uint64       // records with this key
	update []byte       // the secret, once a KeyUpdate has replaced that of the log
}

// The types of records, and messages of a handshake.
const (
	alertRecord     = 21
	handshakeRecord = 22
	dataRecord      = 23
)

// certificateRequest is a request for a certificate after the handshake. A server must not
// send it to a client that hasn't offered that.
var certificateRequest = []byte{13, 0, 0, 1, 0}

// secureRaw does the handshake of the end that has TLS in the path's mode. All that e sends
// afterwards must go through the rawTLS, which counts the records.
func secureRaw(t testing.TB, e *end, config *tls.Config, role string) *rawTLS {
	t.Helper()
	r := &rawTLS{end: e, secret: "CLIENT_TRAFFIC_SECRET_0"}
	config.MinVersion, config.KeyLogWriter = tls.VersionTLS13, &r.keys
	config.SessionTicketsDisabled = true // so that all records that follow are ours
	config.CipherSuites = nil
	makeConn := tls.Client
	if role == byTarget {
		r.secret, makeConn = "SERVER_TRAFFIC_SECRET_0", tls.Server
	}
	check(t, e.secure(makeConn, config))
	if suite := e.stream.(*tls.Conn).ConnectionState().CipherSuite; suite != tls.TLS_AES_128_GCM_SHA256 {
		t.Fatalf("another cipher suite than this can do: %s", tls.CipherSuiteName(suite))
	}
	return r
}

// record is content of some type, encrypted.
func (r *rawTLS) record(t testing.TB, kind byte, content []byte) []byte {
	t.Helper()
	secret := r.current()
	block, err := aes.NewCipher(expand(t, secret, "key", 16))
	check(t, err)
	aead, err := cipher.NewGCM(block)
	check(t, err)
	nonce := expand(t, secret, "iv", 12)
	for i, b := range binary.BigEndian.AppendUint64(nil, r.sent) {
		nonce[4+i] ^= b
	}
	r.sent++
	header := binary.BigEndian.AppendUint16([]byte{dataRecord, 3, 3}, uint16(len(content)+1+aead.Overhead()))
	return aead.Seal(header, nonce, append(bytes.Clone(content), kind), header)
}

// current is the secret that the keys come from.
func (r *rawTLS) current() (secret []byte) {
	if r.update != nil {
		return r.update
	}
	for line := range strings.Lines(r.keys.String()) {
		if words := strings.Fields(line); words[0] == r.secret {
			secret, _ = hex.DecodeString(words[2])
		}
	}
	return secret
}

// sendRecords sends records in one write.
func (r *rawTLS) sendRecords(all ...[]byte) error {
	_, err := r.tcp.Write(bytes.Join(all, nil))
	return err
}

// expand is HKDF-Expand-Label of RFC 8446, section 7.1, without context.
func expand(t testing.TB, secret []byte, label string, length int) []byte {
	t.Helper()
	label = "tls13 " + label
	info := fmt.Sprintf("%s%c%s%c", binary.BigEndian.AppendUint16(nil, uint16(length)), len(label), label, 0)
	key, err := hkdf.Expand(sha256.New, secret, info, length)
	check(t, err)
	return key
}

// keyUpdate is a KeyUpdate that asks for an answer. The records after it have a new key.
func (r *rawTLS) keyUpdate(t testing.TB) []byte {
	t.Helper()
	b := r.record(t, handshakeRecord, keyUpdateRequested)
	r.update, r.sent = expand(t, r.current(), "traffic upd", 32), 0
	return b
}

// keyUpdateRequested is a message that the other side must answer.
var keyUpdateRequested = []byte{24, 0, 0, 1, 1}

// quietKeyUpdate is a KeyUpdate that asks for no answer.
func (r *rawTLS) quietKeyUpdate(t testing.TB) []byte {
	t.Helper()
	b := r.record(t, handshakeRecord, []byte{24, 0, 0, 1, 0})
	r.update, r.sent = expand(t, r.current(), "traffic upd", 32), 0
	return b
}
