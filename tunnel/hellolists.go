package tunnel

import (
	"strconv"

	"tlstunnel/internal/diagnose"

	"golang.org/x/crypto/cryptobyte"
)

// helloLists are the extensions of a ClientHello that have a list of any length, and how an
// entry of it is read (RFC 8446, section 4.2; RFC 7301, section 3.1).
var helloLists = map[uint16]struct {
	what  string
	entry func(*cryptobyte.String) bool
}{
	10: {"groups", number},
	13: {"signature algorithms", number},
	16: {"protocols", func(list *cryptobyte.String) bool { return list.ReadUint8LengthPrefixed(new(cryptobyte.String)) }},
	50: {"signature algorithms", number},
	51: {"key shares", func(list *cryptobyte.String) bool { return number(list) && bytesOf16(list) }},
}

const preSharedKey = 41 // the extension in which a TLS 1.3 client sends its tickets

func number(list *cryptobyte.String) bool { return list.Skip(2) }

func bytesOf16(list *cryptobyte.String) bool {
	return list.ReadUint16LengthPrefixed(new(cryptobyte.String))
}

// checkHello is for the content of a ClientHello. What can't be read is for crypto/tls to
// refuse. From a small hello with long lists it would make much memory, which it holds until
// the handshake is over, and to say why there is nothing in common would take long.
func checkHello(content []byte) error {
	s := cryptobyte.String(content)
	var skipped, suites, extensions, list cryptobyte.String
	if !s.Skip(2+32) || !s.ReadUint8LengthPrefixed(&skipped) || !s.ReadUint16LengthPrefixed(&suites) {
		return nil
	}
	if err := checkList("cipher suites", suites, number); err != nil {
		return err
	}
	if !s.ReadUint8LengthPrefixed(&skipped) || !s.ReadUint16LengthPrefixed(&extensions) {
		return nil
	}
	err := checkList("extensions", extensions, func(list *cryptobyte.String) bool { return number(list) && bytesOf16(list) })
	for err == nil && !extensions.Empty() {
		var kind uint16
		var extension cryptobyte.String
		if !extensions.ReadUint16(&kind) || !extensions.ReadUint16LengthPrefixed(&extension) {
			return nil
		}
		of, listed := helloLists[kind]
		switch {
		case !extension.ReadUint16LengthPrefixed(&list):
		case kind == preSharedKey:
			err = checkTickets(list, extension)
		case listed:
			err = checkList(of.what, list, of.entry)
		}
	}
	return err
}

// checkTickets is for the two lists that prove that a client may resume a session.
func checkTickets(tickets, extension cryptobyte.String) error {
	err := checkList("session tickets", tickets, func(list *cryptobyte.String) bool { return bytesOf16(list) && list.Skip(4) })
	var binders cryptobyte.String
	if err == nil && extension.ReadUint16LengthPrefixed(&binders) {
		err = checkList("binders", binders, func(list *cryptobyte.String) bool { return list.ReadUint8LengthPrefixed(new(cryptobyte.String)) })
	}
	return err
}

func checkList(what string, list cryptobyte.String, entry func(*cryptobyte.String) bool) error {
	for n := 1; !list.Empty() && entry(&list); n++ {
		if n > maxListed {
			values := []string{"what", what, "most", strconv.Itoa(maxListed)}
			return &flightError{alertHandshakeFailure, diagnose.Refusal{Code: "*.long_list", Values: values}}
		}
	}
	return nil
}
