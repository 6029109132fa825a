//go:build linux

package interop

import (
	"errors"
	"io"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// TestRenegotiation: openssl asks for another handshake in the middle of a connection. We
// never do one, and the log says so. The plain side must not see that as an end of stream.
func TestRenegotiation(t *testing.T) {
	t.Parallel()
	need(t, "openssl")
	wantRenegotiation := func(t *testing.T, tun *tunnel, plain io.Reader, who string) {
		t.Helper()
		if _, err := io.Copy(io.Discard, plain); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("the plain side got %v, want a reset", err)
		}
		r := tun.connection(t)
		if r.Msg != interrupted || r.Level != "WARN" || !strings.Contains(r.Reason, "the "+who+" asks for a second handshake") {
			t.Errorf("log of the connection: got %+v", r)
		}
	}
	t.Run("target", func(t *testing.T) {
		t.Parallel()
		ca := newAuthority(t, "Clinic CA")
		pair := ca.issue(t, "pacs", "DNS:localhost")
		cmd := exec.Command(need(t, "openssl"), "s_server", "-tls1_2", "-accept", "127.0.0.1:0", "-cert", pair.cert, "-key", pair.key)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		p := start(t, cmd)
		tun := startClient(t, byName(t, p.waitFor(t, `ACCEPT (\S+)\n`)[1]), ca.cert)
		c := dialPlain(t, tun.addr)
		if _, err := io.WriteString(c, "half a file\n"); err != nil {
			t.Fatal(err)
		}
		p.waitFor(t, "half a file")
		if _, err := io.WriteString(stdin, "R\n"); err != nil {
			t.Fatal(err)
		}
		wantRenegotiation(t, tun, c, "target")
	})
	t.Run("peer", func(t *testing.T) {
		t.Parallel()
		l := newTarget(t, nil)
		tun := startServer(t, l.Addr().String())
		cmd := exec.Command(need(t, "openssl"), "s_client", "-tls1_2", "-connect", tun.addr)
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		defer stdin.Close()
		start(t, cmd)
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
		if _, err := io.WriteString(stdin, "R\n"); err != nil {
			t.Fatal(err)
		}
		wantRenegotiation(t, tun, target, "peer")
	})
}
