//go:build linux

package interop

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// TestKill kills tlstunnel in the middle of transfers. Neither end may see an end of stream.
func TestKill(t *testing.T) {
	t.Parallel()
	t.Run("server", func(t *testing.T) {
		t.Parallel()
		target := newTarget(t, nil)
		tun := startServer(t, target.Addr().String())
		config := &tls.Config{RootCAs: poolOf(t, tun.ca()), ServerName: "pacs.clinic.example"}
		wantKillSeen(t, target, tun.addr, config, tun)
	})
	t.Run("client", func(t *testing.T) {
		t.Parallel()
		ca := newAuthority(t, "Clinic CA")
		files := ca.issue(t, "pacs", "DNS:localhost")
		cert, err := tls.LoadX509KeyPair(files.cert, files.key)
		if err != nil {
			t.Fatal(err)
		}
		target := newTarget(t, &tls.Config{Certificates: []tls.Certificate{cert}})
		tun := startClient(t, byName(t, target.Addr().String()), ca.cert)
		wantKillSeen(t, target, tun.addr, nil, tun)
	})
	t.Run("client of a pair", func(t *testing.T) {
		t.Parallel()
		target := newTarget(t, nil)
		p := startPair(t, target.Addr().String())
		wantKillSeen(t, target, p.client.addr, nil, p.client)
		p.server.wantReset(t, "peer")
	})
	t.Run("server of a pair", func(t *testing.T) {
		t.Parallel()
		target := newTarget(t, nil)
		p := startPair(t, target.Addr().String())
		wantKillSeen(t, target, p.client.addr, nil, p.server)
		p.client.wantReset(t, "target")
	})
}

// wantKillSeen has a connection that has come to rest, one that uploads and one that
// downloads, kills the tunnel, and checks what both ends of each see.
func wantKillSeen(t *testing.T, target net.Listener, addr string, config *tls.Config, victim *tunnel) {
	t.Helper()
	type transfer struct {
		name string
		end  net.Conn
		move func(net.Conn) error
	}
	peer, accepted := openThrough(t, target, addr, config)
	all := []transfer{{"resting peer", peer, readOn}, {"resting target", accepted, readOn}}
	peer, accepted = openThrough(t, target, addr, config)
	all = append(all, transfer{"uploading peer", peer, writeOn}, transfer{"target of it", accepted, readOn})
	peer, accepted = openThrough(t, target, addr, config)
	all = append(all, transfer{"downloading peer", peer, readOn}, transfer{"target that sends", accepted, writeOn})

	ends := make(chan string, len(all))
	for _, tr := range all {
		go func() {
			err := tr.move(tr.end)
			if errors.Is(err, syscall.ECONNRESET) {
				ends <- ""
			} else {
				ends <- fmt.Sprintf("%s: got %v, want a reset", tr.name, err)
			}
		}()
	}
	victim.kill(t)
	for range all {
		if wrong := <-ends; wrong != "" {
			t.Error(wrong)
		}
	}
}

// wantReset checks the log of the tunnel that is left of a pair: by, the killed one, has
// reset its connections.
func (tun *tunnel) wantReset(t *testing.T, by string) {
	t.Helper()
	for range 3 {
		if r := tun.connection(t); r.Msg != interrupted || r.EndedBy != by || r.Reason != "the "+by+" reset the connection" {
			t.Errorf("log of the connection: got %+v, want that the %s reset it", r, by)
		}
	}
}

// readOn reads until an error, and returns nil at an end of stream.
func readOn(c net.Conn) error {
	_, err := io.Copy(io.Discard, c)
	return err
}

// writeOn writes until an error.
func writeOn(c net.Conn) error {
	for {
		if _, err := c.Write(blob); err != nil {
			return err
		}
	}
}

// openThrough makes a connection and sends a blob each way.
func openThrough(t *testing.T, target net.Listener, addr string, config *tls.Config) (peer, accepted net.Conn) {
	t.Helper()
	peer = dialPlain(t, addr)
	if config != nil {
		peer = tls.Client(peer, config)
	}
	done := make(chan error, 1)
	go func() {
		_, err := peer.Write(blob)
		done <- err
	}()
	accepted, err := target.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { accepted.Close() })
	_ = accepted.SetDeadline(time.Now().Add(patience))
	wantBlob(t, accepted)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	go func() {
		_, err := accepted.Write(blob)
		done <- err
	}()
	wantBlob(t, peer)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	return peer, accepted
}

func wantBlob(t *testing.T, r io.Reader) {
	t.Helper()
	got := make([]byte, len(blob))
	if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, blob) {
		t.Fatalf("got %v, or other bytes than were sent", err)
	}
}

// newTarget listens, for TLS if config isn't nil.
func newTarget(t *testing.T, config *tls.Config) net.Listener {
	t.Helper()
	l := testkit.Listen(t)
	if config != nil {
		return tls.NewListener(l, config)
	}
	return l
}

func poolOf(t *testing.T, file string) *x509.CertPool {
	t.Helper()
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(readFile(t, file)) {
		t.Fatal(fmt.Errorf("no certificate in %s", file))
	}
	return pool
}
