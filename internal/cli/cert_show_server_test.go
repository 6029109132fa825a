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
)

// TestWhyNoCertificate: each server that sends none, and what is said of it.
func TestWhyNoCertificate(t *testing.T) {
	listen := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	serve := func(answer func(net.Conn)) string {
		l := listen()
		go func() {
			for c, err := l.Accept(); err == nil; c, err = l.Accept() {
				answer(c)
				c.Close()
			}
		}()
		return l.Addr().String()
	}
	silent := listen().Addr().String() // whose connections nobody takes
	gone := listen()
	gone.Close()
	refusing := &tls.Config{GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("no") }}
	for _, test := range []struct {
		address string
		timeout time.Duration
		want    string
	}{
		{silent, 50 * time.Millisecond, "asking ADDRESS for its certificate: it didn't answer within 50ms: is it on, does it speak TLS at this port, and does a firewall drop the packets?"},
		{silent, time.Nanosecond, "connecting to ADDRESS: it didn't answer within 1ns: is it on, does it speak TLS at this port, and does a firewall drop the packets?"},
		{gone.Addr().String(), 10 * time.Second, "connecting to ADDRESS: nothing listens there: is its service running, and is the port right?"},
		{serve(func(c net.Conn) { fmt.Fprint(c, "220 mail.example ESMTP\r\n"); _, _ = io.Copy(io.Discard, c) }), 10 * time.Second,
			"asking ADDRESS for its certificate: it isn't speaking TLS at this port: is it the port of the plain service?"},
		{serve(func(c net.Conn) { _, _ = c.Read(make([]byte, 1<<16)) }), 10 * time.Second,
			"asking ADDRESS for its certificate: it closed in the middle of the TLS handshake: it doesn't speak TLS at this port, or refuses this machine"},
		{serve(func(c net.Conn) { _ = tls.Server(c, refusing).Handshake() }), 10 * time.Second,
			"asking ADDRESS for its certificate: it ended the handshake: remote error: tls: internal error; is --server-name right?"},
	} {
		_, _, err := serverQuery{address: test.address, serverName: "127.0.0.1", timeout: test.timeout}.ask(t.Context())
		want := strings.Replace(test.want, "ADDRESS", strconv.Quote(test.address), 1)
		if err == nil || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
	}

	unknown := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "pacs.clinic.example", IsNotFound: true}}
	if got, want := (serverQuery{}).whyNot(unknown), "its host name can't be resolved: check its spelling and this machine's DNS"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := (serverQuery{}).whyNot(errors.New("something new")), "something new"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
