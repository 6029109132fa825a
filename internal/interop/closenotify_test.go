//go:build linux

package interop

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
)

// TestStrictALPN has servers that refuse a client for the protocols that it offers. Two
// tlstunnels tell each other more than the config has, but not by a protocol in that list.
func TestStrictALPN(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	ca := newAuthority(t, "Clinic CA")
	pair := ca.issue(t, "pacs", "DNS:localhost")
	cert, err := tls.LoadX509KeyPair(pair.cert, pair.key)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"-tls1_2", "-tls1_3"} {
		for name, alpn := range map[string][]string{"none": nil, "one of ours": {`alpn = ["hl7", "dicom"]`}} {
			t.Run("s_server/"+version+"/"+name, func(t *testing.T) {
				t.Parallel()
				_, address := startSServer(t, pair, version, "-alpn", "dicom")
				tun := startClient(t, address, ca.cert, alpn...)
				c := dialPlain(t, tun.addr)
				ask(t, c, "marco\n", "ocram\n")
				c.Close()
				tun.wantClosed(t)
			})
		}
	}
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		l := newTarget(t, &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}})
		tun := startClient(t, byName(t, l.Addr().String()), ca.cert)
		peer, accepted := openThrough(t, l, tun.addr, nil)
		peer.Close()
		if _, err := io.Copy(io.Discard, accepted); err != nil {
			t.Error(err)
		}
		accepted.Close()
		tun.wantClosed(t)
	})
	t.Run("s_client", func(t *testing.T) {
		t.Parallel()
		tun := startServer(t, startEcho(t))
		for _, options := range [][]string{{"-alpn", "h2"}, nil} {
			talkSClient(t, tun.addr, append(verifying(tun.ca(), "localhost"), options...)...)
			tun.wantClosed(t)
		}
	})
}

// TestBareFIN kills a foreign peer, so that its system sends a FIN without a close_notify.
func TestBareFIN(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		lines    []string
		msg      string
		reason   string
		wholeEnd bool
	}{
		"auto":    {nil, closed, "end of stream without close_notify", true},
		"require": {[]string{`close_notify = "require"`}, interrupted, `close_notify is "require"`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newTarget(t, nil)
			tun := startServer(t, l.Addr().String(), test.lines...)
			p, stdin := startSClient(t, tun.addr, verifying(tun.ca(), "localhost")...)
			defer stdin.Close()
			target, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			defer target.Close()
			if _, err := io.WriteString(stdin, "half a file\n"); err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(target, make([]byte, len("half a file\n"))); err != nil {
				t.Fatal(err)
			}
			if err := p.cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			if _, err = io.Copy(io.Discard, target); (err == nil) != test.wholeEnd || err != nil && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("the target got %v", err)
			}
			_ = target.(*net.TCPConn).CloseWrite()
			if r := tun.connection(t); r.Msg != test.msg || !strings.Contains(r.Reason, test.reason) {
				t.Errorf("log of the connection: got %+v, want %q and %q", r, test.msg, test.reason)
			}
		})
	}
}
