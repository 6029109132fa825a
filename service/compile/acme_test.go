package compile

import (
	"net"
	"strconv"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestACMEPortTaken: another program has the port of the challenge.
func TestACMEPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	testkit.Check(t, err)
	defer l.Close()
	address := l.Addr().String()
	_, err = listenForChallenge(address)
	begin := "listening on http_listen " + strconv.Quote(address) + " for the challenge: "
	const end = ": stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it"
	if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.HasSuffix(err.Error(), end) {
		t.Errorf("got %v, want %s…%s", err, begin, end)
	}
}
