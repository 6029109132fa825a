package osservice

import (
	"crypto/sha1" // as Windows does; nothing depends on its strength
	"encoding/binary"
	"fmt"
	"strings"
	"unicode/utf16"
)

// Account is the account of the service on Windows: a virtual account with a SID of its own,
// no password, and the rights of an ordinary user.
const Account = `NT SERVICE\` + Name

// AccountSID is the SID of [Account]. Windows makes it from the name alone, so it is known
// before the service is registered. If an administrator gives the service another account,
// its processes hold this SID too.
func AccountSID() string { return serviceSID(Name) }

// serviceSID returns S-1-5-80 and the SHA-1 of the name, in upper case and UTF-16, as five
// numbers.
func serviceSID(name string) string {
	var text []byte
	for _, unit := range utf16.Encode([]rune(strings.ToUpper(name))) {
		text = binary.LittleEndian.AppendUint16(text, unit)
	}
	sid := "S-1-5-80"
	sum := sha1.Sum(text)
	for part := sum[:]; len(part) > 0; part = part[4:] {
		sid += fmt.Sprintf("-%d", binary.LittleEndian.Uint32(part))
	}
	return sid
}
