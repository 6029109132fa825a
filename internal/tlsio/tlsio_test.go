package tlsio

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"tlstunnel/internal/sock"
	"tlstunnel/internal/testkit"
)

// link is the socket of the other end. It can record what is written.
type link struct {
	*net.TCPConn
	keep bool
	kept []byte
}

func (l *link) Write(b []byte) (int, error) {
	if l.keep {
		l.kept = append(l.kept, b...)
		return len(b), nil
	}
	return l.TCPConn.Write(b)
}

// serverConfig has a certificate that no client of these tests verifies.
var serverConfig = sync.OnceValue(func() *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{testkit.NewCA("server").TLS()}}
})

// SetWriteDeadline does nothing, because crypto/tls would send nothing more after a
// close_notify.
func (*link) SetWriteDeadline(time.Time) error { return nil }

// dial makes a connection over loopback.
func dial(t *testing.T) (wire *link, socket *sock.Conn) {
	t.Helper()
	dialled, accepted := testkit.Connect(t)
	socket, err := sock.New(accepted)
	testkit.Check(t, err, socket.SetDeadline(time.Now().Add(testkit.Patience)), dialled.SetDeadline(time.Now().Add(testkit.Patience)))
	return &link{TCPConn: dialled}, socket
}

// connect makes a connection with TLS, on which ours is the server.
func connect(t *testing.T, version uint16, w Watch) (theirs *tls.Conn, wire *link, ours *Conn) {
	t.Helper()
	wire, socket := dial(t)
	theirs = tls.Client(wire, &tls.Config{InsecureSkipVerify: true, MaxVersion: version})
	ours = Server(socket, serverConfig())
	shaken := make(chan error, 1)
	go func() { shaken <- theirs.Handshake() }()
	ours.AwaitRecord()
	testkit.Check(t, ours.Handshake(t.Context(), w), <-shaken)
	return theirs, wire, ours
}

// receive returns all that ours receives until the end of the stream or the deadline.
func receive(ours *Conn) (got []byte, err error) {
	err = ours.Receive(func(c *sock.Chunk, b []byte) bool {
		got = append(got, b...)
		c.Release()
		return true
	})
	return got, err
}

var versions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// A record may come in pieces, split at any byte. Between them the connection may be idle.
func TestRecordsInPieces(t *testing.T) {
	for _, version := range versions {
		theirs, wire, ours := connect(t, version, Watch{})
		sent := make([]byte, 300)
		_, _ = rand.Read(sent)
		wire.keep = true
		for rest := sent; len(rest) > 0; rest = rest[10:] { // 30 records
			_, err := theirs.Write(rest[:10])
			testkit.Check(t, err)
		}
		testkit.Check(t, theirs.CloseWrite())
		var got []byte
		for n := 1; len(wire.kept) > 0; n = n%7 + 1 {
			piece := wire.kept[:min(n, len(wire.kept))]
			wire.kept = wire.kept[len(piece):]
			_, err := wire.TCPConn.Write(piece)
			testkit.Check(t, err)
			b, err := receiveWhatCame(t, ours)
			got = append(got, b...)
			if last := len(wire.kept) == 0; last && err != io.EOF || !last && err != nil {
				t.Fatalf("%s: %v, with %d bytes to come", tls.VersionName(version), err, len(wire.kept))
			}
			ours.ReleaseBuffers()
		}
		if !bytes.Equal(got, sent) || ours.EndedByFIN() || !ours.SawCloseNotify() {
			t.Errorf("%s: got %d bytes, a FIN: %v", tls.VersionName(version), len(got), ours.EndedByFIN())
		}
	}
}

// receiveWhatCame waits until something has come, and returns it. The error is nil if more
// may come.
func receiveWhatCame(t *testing.T, ours *Conn) (got []byte, err error) {
	t.Helper()
	for ours.socket.Unread() == 0 {
		time.Sleep(10 * time.Microsecond)
	}
	for ours.socket.Unread() > 0 {
		testkit.Check(t, ours.socket.SetReadDeadline(time.Now().Add(time.Millisecond)))
		var b []byte
		b, err = receive(ours)
		got = append(got, b...)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = nil
	}
	return got, err
}

// A stream of large records arrives, and its end is distinguished from a FIN.
func TestStream(t *testing.T) {
	for _, version := range versions {
		for _, properly := range []bool{true, false} {
			theirs, wire, ours := connect(t, version, Watch{})
			sent := make([]byte, 5<<20)
			_, _ = rand.Read(sent)
			done := make(chan error, 1)
			go func() {
				_, err := theirs.Write(sent)
				if properly {
					err = errors.Join(err, theirs.CloseWrite())
				}
				done <- errors.Join(err, wire.CloseWrite())
			}()
			got, err := receive(ours)
			testkit.Check(t, <-done)
			if !bytes.Equal(got, sent) || err != io.EOF || ours.EndedByFIN() == properly || ours.SawCloseNotify() != properly {
				t.Errorf("%s, close_notify %v: got %d bytes, %v, a FIN: %v", tls.VersionName(version), properly, len(got), err, ours.EndedByFIN())
			}
		}
	}
}

// crypto/tls gives up a close_notify after five seconds. An end that reads nothing for that
// long still gets it.
func TestLateCloseNotify(t *testing.T) {
	wire, socket := dial(t)
	theirs := tls.Client(wire, &tls.Config{InsecureSkipVerify: true})
	late := &lateTransport{transport: &transport{Conn: socket, handshake: &handshake{internals: new(internals)}}}
	ours := tls.Server(late, serverConfig())
	shaken := make(chan error, 1)
	go func() { shaken <- theirs.Handshake() }()
	testkit.Check(t, ours.Handshake(), <-shaken, ours.CloseWrite())
	if n, err := theirs.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("got %d bytes and %v", n, err)
	}
	if !late.limited {
		t.Error("crypto/tls sets no deadline any more: transport.SetWriteDeadline can go")
	}
}

// lateTransport is a transport on which every deadline has already passed.
type lateTransport struct {
	*transport
	limited bool
}

func (l *lateTransport) SetWriteDeadline(d time.Time) error {
	l.limited = true
	return l.transport.SetWriteDeadline(d.Add(-time.Minute))
}

// A watch sees each record, and can end the handshake with an alert.
func TestWatch(t *testing.T) {
	records, waits := 0, 0
	_, _, ours := connect(t, tls.VersionTLS13, Watch{
		Wait:   func() { waits++ },
		Record: func([]byte, []byte, bool) (tls.AlertError, error) { records++; return 0, nil },
	})
	if records < 2 || waits == 0 { // a hello and a Finished message at least
		t.Errorf("%d records, %d waits", records, waits)
	}
	if !ours.Received() || len(ours.First()) < 100 || ours.First()[0] != RecordHandshake || ours.SentFirst() != 0 {
		t.Errorf("received: %v, first %d bytes, %d sent before", ours.Received(), len(ours.First()), ours.SentFirst())
	}
}
