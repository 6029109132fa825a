package tlsio

import "encoding/binary"

// Of a record of TLS.
const (
	RecordAlert       = 21
	RecordHandshake   = 22
	RecordApplication = 23       // in TLS 1.3 anything that is encrypted
	RecordHeader      = 5        // bytes: type, version, length
	MaxRecord         = 16 << 10 // bytes that one carries at the most (RFC 8446, section 5.1)
)

// isAlert reports whether a record is an alert. In TLS 1.3, where every encrypted
// record has a tag of 16 bytes, it may also be two bytes of application data.
func isAlert(record []byte) bool {
	const encrypted = RecordHeader + 2 + 1 + 16 // with the true type
	return len(record) > 0 && (record[0] == RecordAlert || record[0] == RecordApplication && len(record) == encrypted)
}

// endsInAlert reports whether the last record in b is an alert: see isAlert.
func endsInAlert(b []byte) bool {
	for n := 2; n <= len(b)-RecordHeader; n++ {
		record := b[len(b)-RecordHeader-n:]
		if record[1] == 3 && int(binary.BigEndian.Uint16(record[3:])) == n {
			return isAlert(record)
		}
	}
	return false
}

// lastRecord is where the last record of b begins.
func lastRecord(b []byte) (last int) {
	for at := 0; at+RecordHeader <= len(b); {
		last = at
		at += RecordHeader + int(binary.BigEndian.Uint16(b[at+3:]))
	}
	return last
}

// cutTicket cuts the last record of b off if it must be a session ticket:
// one with encrypted content that is longer than a Finished message. That is the
// only other thing with which a server's part of the handshake of TLS 1.3 can
// end, but for an alert, which is shorter still (RFC 8446, sections 4.4.4, 4.6.1).
func cutTicket(b []byte) (rest, ticket []byte) {
	const finished = 4 + 48 + 1 + 16 // message header, SHA-384, content type, AEAD tag
	last := lastRecord(b)
	if len(b) > last && b[last] == RecordApplication && len(b)-last > RecordHeader+finished {
		return b[:last], b[last:]
	}
	return b, nil
}
