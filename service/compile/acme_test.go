package compile

import (
	"strconv"
	"strings"
	"testing"

	"tlstunnel/internal/testkit"
)

// TestACMEPortTaken: another program listens on the port of the challenge.
func TestACMEPortTaken(t *testing.T) {
	address := testkit.Listen(t).Addr().String()
	_, err := listenForChallenge(address)
	begin := "listening on http_listen " + strconv.Quote(address) + " for the challenge: "
	const end = ": stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it"
	if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.HasSuffix(err.Error(), end) {
		t.Errorf("got %v, want %s…%s", err, begin, end)
	}
}
