package diagnose

import (
	"strings"

	"golang.org/x/crypto/cryptobyte"
)

// endsWithDot reports whether a ClientHello, of which start is what came first, asks
// for a name with a dot at its end. RFC 6066, section 3, has none there, and crypto/tls
// can't decode it.
func endsWithDot(start []byte) bool {
	return strings.HasSuffix(serverNameOf(start), ".")
}

// serverNameOf is the name that a ClientHello asks for, "" if there is none, or it
// comes after what there is of the ClientHello.
func serverNameOf(start []byte) string {
	const serverName, hostName = 0, 0
	const beforeSession = recordHeader + 4 + 2 + 32 // the header of the message, a version and the random value
	hello := cryptobyte.String(start)
	var skipped cryptobyte.String
	if !hello.Skip(beforeSession) || !hello.ReadUint8LengthPrefixed(&skipped) || // session
		!hello.ReadUint16LengthPrefixed(&skipped) || !hello.ReadUint8LengthPrefixed(&skipped) || // suites, compression
		!hello.Skip(2) {
		return ""
	}
	for {
		var kind uint16
		var extension, list, name cryptobyte.String
		var nameKind uint8
		if !hello.ReadUint16(&kind) || !hello.ReadUint16LengthPrefixed(&extension) {
			return ""
		}
		if kind == serverName && extension.ReadUint16LengthPrefixed(&list) && list.ReadUint8(&nameKind) && nameKind == hostName &&
			list.ReadUint16LengthPrefixed(&name) {
			return string(name)
		}
	}
}
