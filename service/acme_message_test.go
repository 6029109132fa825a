package service

import (
	"crypto/tls"
	"net"
	"strconv"
	"strings"
	"testing"

	"tlstunnel/pki"
)

// TestACMENobodyAsked: a stranger gets no certificate of a challenge.
func TestACMENobodyAsked(t *testing.T) {
	a := &acmeCert{ACME: pki.ACME{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: []string{"pacs.clinic.example"}}}
	for _, name := range []string{"pacs.clinic.example", "other.example", "../x"} {
		_, err := a.answer(&tls.ClientHelloInfo{SupportedProtos: []string{"acme-tls/1"}, ServerName: name})
		if want := "no CA has been asked to check the name " + strconv.Quote(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// TestACMEPortTaken: another program has the port of the challenge.
func TestACMEPortTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	defer l.Close()
	a := &acmeCert{httpListen: l.Addr().String()}
	_, err = a.answerHTTP("/path", "body")
	begin := "listening on http_listen " + strconv.Quote(a.httpListen) + " for the challenge: "
	const end = ": stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it"
	if err == nil || !strings.HasPrefix(err.Error(), begin) || !strings.HasSuffix(err.Error(), end) {
		t.Errorf("got %v, want %s…%s", err, begin, end)
	}
}
