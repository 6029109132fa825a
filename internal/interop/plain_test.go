//go:build linux

package interop

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// blob is what two programs send each other: many TLS records and reads.
var blob = randomBytes(4 << 20)

func randomBytes(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

// plainServer is a plain TCP server for one connection after the other.
type plainServer struct {
	listener net.Listener
	addr     string
	serve    func(*net.TCPConn) error
	results  chan error // of serve, for each connection
}

// startPlain starts a plain server that calls serve for each connection.
func startPlain(t *testing.T, serve func(*net.TCPConn) error) *plainServer {
	t.Helper()
	l := testkit.Listen(t)
	s := &plainServer{l, l.Addr().String(), serve, make(chan error, 100)}
	var running sync.WaitGroup
	running.Go(s.acceptAll)
	t.Cleanup(func() {
		l.Close()
		running.Wait()
	})
	return s
}

func (s *plainServer) acceptAll() {
	for {
		c, err := s.listener.Accept()
		if err != nil {
			return
		}
		_ = c.SetDeadline(time.Now().Add(patience))
		s.results <- s.serve(c.(*net.TCPConn))
		c.Close()
	}
}

// wantServed checks that the next connection was served without an error.
func (s *plainServer) wantServed(t *testing.T) {
	t.Helper()
	select {
	case err := <-s.results:
		if err != nil {
			t.Errorf("plain server: %v", err)
		}
	case <-time.After(patience):
		t.Errorf("plain server: no connection has ended within %v", patience)
	}
}

// startEcho starts a plain server that sends back what it gets, and returns its
// address.
func startEcho(t *testing.T) string {
	t.Helper()
	return testkit.Serve(t, testkit.Listen(t), testkit.Echo)
}

// byName is a loopback address with the name of the host instead of the IP address.
func byName(t *testing.T, address string) string {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("localhost", port)
}

// dialPlain connects as a plain client.
func dialPlain(t *testing.T, address string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// talk is a way in which two plain programs use a connection.
type talk struct{ client, server func(*end) error }

var talks = map[string]talk{
	"both at once":      {sendAndReceive, sendAndReceive},
	"client ends first": {sendThenReceive, receiveThenSend},
	"server ends first": {receiveThenSend, sendThenReceive},
}

// end is one of the two programs.
type end struct {
	*net.TCPConn
	received chan struct{} // closed when the whole blob has arrived
	patient  <-chan struct{}
}

// conversation is a talk between a client and the plain server that it starts.
type conversation struct {
	talk           talk
	server         *plainServer
	client, served end
}

// startTalk starts the server of a talk. A patient program doesn't end its stream before the
// other one has all of it. stunnel 5.68 needs that: once it has passed an end of stream to a
// plain program, it drops the last bytes of that program if they arrive together with its
// FIN, because it takes POLLHUP for an empty socket.
func startTalk(t *testing.T, talk talk, patientClient, patientServer bool) *conversation {
	t.Helper()
	v := &conversation{talk: talk}
	v.client.received, v.served.received = make(chan struct{}), make(chan struct{})
	if patientClient {
		v.client.patient = v.served.received
	}
	if patientServer {
		v.served.patient = v.client.received
	}
	v.server = startPlain(t, v.serve)
	return v
}

func (v *conversation) serve(c *net.TCPConn) error {
	v.served.TCPConn = c
	return v.talk.server(&v.served)
}

// do runs the client's part against address, behind which the server is.
func (v *conversation) do(t *testing.T, address string) {
	t.Helper()
	v.client.TCPConn = dialPlain(t, address)
	defer v.client.Close()
	if err := v.talk.client(&v.client); err != nil {
		t.Errorf("plain client: %v", err)
	}
	v.server.wantServed(t)
}

func sendAndReceive(e *end) error {
	sent := make(chan error, 1)
	go func() { sent <- e.send() }()
	return errors.Join(e.receive(), <-sent)
}

func sendThenReceive(e *end) error { return errors.Join(e.send(), e.receive()) }

func receiveThenSend(e *end) error { return errors.Join(e.receive(), e.send()) }

// send sends the blob and an end of stream.
func (e *end) send() error {
	if _, err := e.Write(blob); err != nil {
		return err
	}
	if e.patient != nil {
		select {
		case <-e.patient:
		case <-time.After(patience):
			return errors.New("the other end hasn't received all")
		}
	}
	return e.CloseWrite()
}

// receive reads the blob and an end of stream.
func (e *end) receive() error {
	got := make([]byte, len(blob))
	if n, err := io.ReadFull(e, got); err != nil {
		return fmt.Errorf("%w after %d bytes of %d", err, n, len(blob))
	}
	if !bytes.Equal(got, blob) {
		return errors.New("the bytes received aren't those sent")
	}
	close(e.received)
	if more, err := io.ReadAll(e); err != nil || len(more) > 0 {
		return fmt.Errorf("got %d bytes, %v instead of the end of stream", len(more), err)
	}
	return nil
}

// ask sends a line through c and reads the answer to it.
func ask(t *testing.T, c *net.TCPConn, line, want string) {
	t.Helper()
	if _, err := io.WriteString(c, line); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("answer to %q: got %q, %v, want %q", line, got, err, want)
	}
}

// wantNoService checks that a plain client gets an error and not a byte. An end of stream
// would look like a service that has nothing to send.
func wantNoService(t *testing.T, address string) {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if errors.Is(err, syscall.ECONNRESET) { // the reset came while net.Dial was still running
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c)
	if !errors.Is(err, syscall.ECONNRESET) || len(got) > 0 {
		t.Errorf("plain client: got %q, %v, want a reset", got, err)
	}
}
