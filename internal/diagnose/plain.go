package diagnose

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// A record of TLS, as far as it is the same in all versions.
const (
	recordAlert     = 21
	recordHandshake = 22
	recordHeader    = 5 // bytes: type, version, length
)

// AlertSize is how many bytes of a stream [IsAlert] needs.
const AlertSize = recordHeader + 2 // the level and the code

// IsHello reports whether a stream begins as TLS does.
func IsHello(start []byte) bool { return bytes.HasPrefix(start, []byte{recordHandshake, 3}) }

// IsAlert reports whether a stream begins with an alert that isn't encrypted. Some programs
// pad it, though RFC 8446, section 5.1, doesn't have that.
func IsAlert(start []byte) bool {
	const warning, fatal = 1, 2
	return len(start) >= AlertSize && start[0] == recordAlert && start[1] == 3 && start[3] == 0 && start[4] >= 2 &&
		(start[5] == warning || start[5] == fatal)
}

// describePlain guesses what a peer speaks that isn't TLS from the first bytes that it
// sent, at least five.
func describePlain(start []byte) string {
	for _, known := range []struct{ prefix, name string }{
		{"GET ", "plain HTTP"}, {"POST", "plain HTTP"}, {"HEAD", "plain HTTP"}, {"PUT ", "plain HTTP"},
		{"OPTIO", "plain HTTP"}, {"HTTP", "plain HTTP"}, {"CONNE", "plain HTTP"}, {"PRI *", "plain HTTP/2"},
		{"SSH-", "SSH"}, {"\x0bMSH", "HL7 (MLLP) without TLS"},
		{"\x00\x00\x00\x08\x04", "PostgreSQL, which asks for TLS in its own way"},
		{"\x80", "a greeting of SSL 2.0"}, {"220", "a server that greets first, as SMTP and FTP do"},
		{"PROXY", proxyHeader}, {"\r\n\r\n\x00", proxyHeader},
		{"PING\r", "Redis without TLS"}, {"-ERR ", "Redis or POP3 without TLS"},
	} {
		if bytes.HasPrefix(start, []byte(known.prefix)) {
			return known.name
		}
	}
	for _, known := range []struct {
		is   func([]byte) bool
		name string
	}{
		{isDICOM, "DICOM without TLS"}, {isRDP, "RDP (TPKT)"}, {isLDAP, "LDAP without TLS"}, {isModbus, "Modbus/TCP without TLS"},
		{isRedis, "Redis without TLS"}, {isMySQL, "MySQL, which greets in plain text and asks for TLS in its own way"},
	} {
		if known.is(start) {
			return known.name
		}
	}
	return fmt.Sprintf("it began with %q", start[:min(len(start), 5)])
}

const proxyHeader = "a PROXY header, which isn't supported: turn it off in the load balancer"

// isDICOM takes the PDUs that begin or refuse an association (DICOM PS3.8, section
// 9.3): a type, a zero byte, and the length of the rest in four bytes.
func isDICOM(b []byte) bool {
	const associateRQ, associateRJ, abort = 1, 3, 7
	if b[1] != 0 {
		return false
	}
	switch b[0] {
	case associateRQ:
		const least = 68 // bytes; what begins in the same way and is shorter is Modbus
		return len(b) < 6 || binary.BigEndian.Uint32(b[2:]) >= least
	case associateRJ, abort:
		return b[2] == 0 && b[3] == 0 && b[4] == 0 // its length is 4; that of a TPKT isn't 0
	}
	return false
}

// isRDP takes a TPKT header (RFC 1006, section 6): a version, a zero byte, and a length
// in two bytes.
func isRDP(b []byte) bool { return b[0] == 3 && b[1] == 0 }

// isModbus takes the header of Modbus/TCP: the number of the transaction, a zero for the
// protocol, and the length of the rest, up to 254.
func isModbus(b []byte) bool { return b[2] == 0 && b[3] == 0 && b[4] == 0 }

// isLDAP takes a message (RFC 4511, section 4.1.1): a sequence, and in it a number and an
// operation, of which a client's first is one of those. Windows writes the length of the
// sequence in five bytes.
func isLDAP(b []byte) bool {
	const sequence, integer, longLength, bind, search, extended = 0x30, 0x02, 0x84, 0x60, 0x63, 0x77
	header := 2
	if b[1] == longLength {
		header = 6
	}
	if b[0] != sequence || len(b) < header+4 || b[header] != integer || b[header+1] != 1 {
		return false
	}
	operation := b[header+3]
	return operation == bind || operation == search || operation == extended
}

// isRedis takes a command as Redis's clients send it: an array, and how long it is.
func isRedis(b []byte) bool { return b[0] == '*' && '1' <= b[1] && b[1] <= '9' }

// isMySQL takes a server's first packet: its length in three bytes, its number, which is
// 0, and the protocol, which is 10, or 255 for an error.
func isMySQL(b []byte) bool { return b[2] == 0 && b[3] == 0 && (b[4] == 10 || b[4] == 255) }
