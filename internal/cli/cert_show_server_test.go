package cli

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestWhyNoCertificate: for each server that sends no certificate, the reason that is shown.
func TestWhyNoCertificate(t *testing.T) {
	serve := func(answer func(net.Conn)) string { return testkit.Serve(t, testkit.Listen(t), answer) }
	silent := testkit.Listen(t).Addr().String() // accepts no connection
	gone := testkit.FreePort(t)
	refusing := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }}
	for _, test := range []struct {
		address string
		timeout time.Duration
		want    string
	}{
		{silent, 50 * time.Millisecond, "asking ADDRESS for its certificate: the server didn't finish the TLS handshake within 50ms: does it speak TLS at this port? ("},
		{silent, time.Nanosecond, "connecting to ADDRESS: the server didn't answer within 1ns: is it on, and does a firewall drop the packets? ("},
		{gone, 10 * time.Second, "connecting to ADDRESS: nothing listens at the server, or a firewall rejects: is its service running, and is the port right? ("},
		{serve(func(c net.Conn) { fmt.Fprint(c, "220 mail.example ESMTP\r\n"); _, _ = io.Copy(io.Discard, c) }), 10 * time.Second,
			"asking ADDRESS for its certificate: the server isn't speaking TLS: a server that greets first, as SMTP and FTP do; is it the port of the plain service? ("},
		{serve(testkit.Echo), 10 * time.Second,
			"asking ADDRESS for its certificate: the server isn't speaking TLS: it sends back what it gets; is it the port of the plain service? ("},
		{serve(func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)) }), 10 * time.Second,
			"asking ADDRESS for its certificate: the server closed in the middle of the TLS handshake: it doesn't speak TLS at this port, or it refuses this machine; its own log knows ("},
		{serve(func(c net.Conn) { _ = tls.Server(c, refusing).Handshake() }), 10 * time.Second,
			"asking ADDRESS for its certificate: the server ended TLS with an alert; its own log knows why (remote error: tls: internal error)"},
		{serve(func(c net.Conn) {
			_, _ = c.Read(make([]byte, 1<<16))
			_, _ = io.WriteString(c, "\x15\x03\x03\x00\x02\x02\x70")
		}), 10 * time.Second,
			"asking ADDRESS for its certificate: the server doesn't know the name that it was asked for: check --server-name (remote error: tls: unrecognized name)"},
	} {
		_, _, err := serverQuery{address: test.address, serverName: "127.0.0.1", timeout: test.timeout}.ask(t.Context())
		want := strings.Replace(test.want, "ADDRESS", strconv.Quote(test.address), 1)
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}
}
