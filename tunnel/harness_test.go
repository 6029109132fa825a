package tunnel

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"tlstunnel/internal/sock"
	"tlstunnel/internal/testkit"
)

// What the tests of all packages share, under the names that it has here.
const patience = testkit.Patience

var (
	check       = testkit.Check
	listen      = testkit.Listen
	leakCheck   = testkit.LeakCheck
	atOnce      = testkit.AtOnce
	clientHello = testkit.ClientHello
	reached     = testkit.Reached
	eventually  = testkit.Eventually
	closedPort  = testkit.FreePort
)

func TestMain(m *testing.M) {
	raiseFileLimit()
	os.Exit(m.Run())
}

// stopNow is a context that gives a drain no time.
func stopNow() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// end is what a program at either end of a tunnel holds: a plain connection, or
// TLS over it.
type end struct {
	stream interface {
		io.ReadWriter
		CloseWrite() error
	}
	tcp *net.TCPConn
}

func (e *end) Read(b []byte) (int, error)  { return e.stream.Read(b) }
func (e *end) Write(b []byte) (int, error) { return e.stream.Write(b) }
func (e *end) CloseWrite() error           { return e.stream.CloseWrite() }

func (e *end) reset() {
	_ = e.tcp.SetLinger(0)
	e.tcp.Close()
}

func dial(addr string) (*end, error) {
	c, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return nil, err
	}
	return newEnd(c), nil
}

func newEnd(c net.Conn) *end {
	tcp := c.(*net.TCPConn)
	_ = tcp.SetDeadline(time.Now().Add(3 * patience))
	return &end{tcp, tcp}
}

// secure does the TLS handshake over a plain end.
func (e *end) secure(role func(net.Conn, *tls.Config) *tls.Conn, config *tls.Config) error {
	c := role(e.tcp, config)
	if err := c.Handshake(); err != nil {
		return err
	}
	e.stream = c
	return nil
}

func mustDial(t testing.TB, addr string) *end {
	t.Helper()
	e, err := dial(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.tcp.Close() })
	return e
}

// mustDialFrom dials from an address of this machine.
func mustDialFrom(t testing.TB, from, addr string) *end {
	t.Helper()
	e, err := dialFrom(from, addr)
	if err != nil {
		t.Skip(err) // not every system has all of 127.0.0.0/8
	}
	t.Cleanup(func() { e.tcp.Close() })
	return e
}

func dialFrom(from, addr string) (*end, error) {
	d := net.Dialer{Timeout: patience, LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", addr)
	if err != nil {
		return nil, err
	}
	return newEnd(c), nil
}

// connect makes a connection over loopback. Ours is the end that was accepted.
func connect(t testing.TB) (theirs *end, ours *net.TCPConn) {
	t.Helper()
	dialled, ours := testkit.Connect(t)
	return newEnd(dialled), ours
}

// asSock is c as a side has it.
func asSock(t testing.TB, c net.Conn) *sock.Conn {
	t.Helper()
	s, err := sock.New(c)
	check(t, err)
	return s
}

func mustDialTLS(t testing.TB, addr string, config *tls.Config) *end {
	t.Helper()
	e := mustDial(t, addr)
	if err := e.secure(tls.Client, config); err != nil {
		t.Fatal(err)
	}
	return e
}

// noise is what is sent in tests. Its length is a prime, so that nothing can
// be lost, doubled or moved by a block without a difference.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 1048583)
	_, _ = mathrand.NewChaCha8([32]byte{1}).Read(b)
	return b
})

// send writes the first n bytes of noise, repeated as often as need be.
func send(w io.Writer, n int64) error {
	b := noise()
	for at := int64(0); at < n; {
		i := at % int64(len(b))
		chunk := min(64<<10, int64(len(b))-i, n-at)
		wrote, err := w.Write(b[i : i+chunk])
		at += int64(wrote)
		if err != nil {
			return fmt.Errorf("sent %d of %d bytes: %w", at, n, err)
		}
	}
	return nil
}

// receive reads n bytes and compares them with those of send.
func receive(r io.Reader, n int64) error {
	b, buf := noise(), make([]byte, 64<<10)
	for at := int64(0); at < n; {
		i := at % int64(len(b))
		got, err := r.Read(buf[:min(int64(len(buf)), int64(len(b))-i, n-at)])
		if !bytes.Equal(buf[:got], b[i:i+int64(got)]) {
			return fmt.Errorf("other bytes than were sent, between %d and %d", at, at+int64(got))
		}
		at += int64(got)
		if err != nil && at < n {
			return fmt.Errorf("received %d of %d bytes: %w", at, n, err)
		}
	}
	return nil
}

// receiveAll is receive with an end of stream after it.
func receiveAll(r io.Reader, n int64) error {
	if err := receive(r, n); err != nil {
		return err
	}
	return receiveEnd(r)
}

func receiveEnd(r io.Reader) error {
	if n, err := r.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		return fmt.Errorf("got %d bytes and %v, want the end of stream", n, err)
	}
	return nil
}

// exchange says hello both ways.
func exchange(peer, target *end) error {
	for _, way := range []struct{ from, to *end }{{peer, target}, {target, peer}} {
		if err := send(way.from, 100); err != nil {
			return err
		}
		if err := receive(way.to, 100); err != nil {
			return err
		}
	}
	return nil
}

// together runs all of them at once and returns their errors.
func together(all ...func() error) error {
	errs := make([]error, len(all))
	var running sync.WaitGroup
	for i, f := range all {
		running.Go(func() { errs[i] = f() })
	}
	running.Wait()
	return errors.Join(errs...)
}
