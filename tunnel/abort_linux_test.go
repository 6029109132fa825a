package tunnel

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
	"tlstunnel/internal/tlsio"
)

// A peer sends all it has, ends its stream and leaves without waiting for an answer. The
// answer is lost, but what the peer sent arrives.
func TestPeerLeavesBeforeTheAnswer(t *testing.T) {
	leakCheck(t)
	const n = 1 << 20
	targets := listen(t)
	fronts := &keepingListener{Listener: listen(t), accepted: make(chan *net.TCPConn, 1)}
	r := startOn(t, fronts, toTargets(targets.Addr().String()))
	peer := mustDial(t, r.addr)
	front := <-fronts.accepted
	accepted, err := targets.Accept()
	check(t, err)
	target := newEnd(accepted)
	defer target.tcp.Close()

	check(t, send(peer, n), peer.CloseWrite())
	eventually(t, "all has left the peer", func() bool { return unacknowledged(peer.tcp) == 0 })
	peer.tcp.Close()
	check(t, send(target, 1))
	eventually(t, "the tunnel knows that nobody is there", func() bool { return isDead(front) })
	if err := send(target, n); diagnose.IsTimeout(err) { // a reset, after its system has received everything
		t.Fatal(err)
	}
	check(t, receiveAll(target, n))
	r.logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer, "the peer reset the connection")
}

// keepingListener hands the test the connections that a tunnel accepts.
type keepingListener struct {
	net.Listener
	accepted chan *net.TCPConn
}

func (l *keepingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err == nil {
		l.accepted <- c.(*net.TCPConn)
	}
	return c, err
}

// fill sends until the buffers on the way are full.
func fill(e *end) error {
	for {
		if err := e.tcp.SetWriteDeadline(time.Now().Add(time.Second)); err != nil {
			return err
		}
		if _, err := e.Write(make([]byte, 1<<20)); errors.Is(err, os.ErrDeadlineExceeded) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// Linux gives the error of a reset to one system call only. That can be a write, also a write
// that crypto/tls makes by itself while we read. The reader must still see a reset, so that
// the bytes before it don't look complete.
func TestResetIsTakenByAWrite(t *testing.T) {
	half := []byte("half a file")
	for name, write := range map[string]func(*side) error{
		"answer to KeyUpdate": func(*side) error { return nil }, // receive makes it
		"our bytes":           func(s *side) error { _, err := s.Write(half); return err },
		"our close_notify":    (*side).CloseWrite,
	} {
		for _, role := range []string{byPeer, byTarget} {
			t.Run(name+"/"+role, func(t *testing.T) {
				leakCheck(t)
				theirs, ours := connect(t)
				s, raw := secureSide(t, ours, theirs, role)
				records := [][]byte{raw.record(t, dataRecord, half)}
				if name == "answer to KeyUpdate" {
					records = append(records, raw.record(t, handshakeRecord, keyUpdateRequested))
				}
				check(t, raw.sendRecords(records...))
				theirs.reset()
				eventually(t, "the reset is here", func() bool { return isDead(ours) })
				if err := write(s); err != nil && !errors.Is(err, errReset) {
					t.Fatal(err)
				}

				got := ""
				err := s.receive(func(c *sock.Chunk, b []byte) bool {
					got += string(b)
					c.Release()
					return true
				})
				if got != string(half) || !errors.Is(err, errReset) {
					t.Errorf("got %q and %v, want half a file and a reset", got, err)
				}
			})
		}
	}
}

// secureSide makes a side with TLS of ours. role says which program is at its other end.
func secureSide(t *testing.T, ours *net.TCPConn, theirs *end, role string) (*side, *rawTLS) {
	t.Helper()
	tun := New(Settings{Logger: slog.New(slog.DiscardHandler)})
	config, makeConn, theirConfig := serverTLS(), tlsio.Server, clientTLS()
	if role == byTarget {
		config, makeConn, theirConfig = clientTLS(), tlsio.Client, serverTLS()
	}
	s := newSide(asSock(t, ours), role)
	c := &conn{settings: &settings{Settings: Settings{HandshakeTimeout: patience}}, setup: t.Context(), front: s}
	var raw *rawTLS
	done := make(chan error, 1)
	go func() { done <- tun.doHandshake(c, s, makeConn, config) }()
	raw = secureRaw(t, theirs, theirConfig, role)
	check(t, <-done)
	return s, raw
}

// A reset may arrive together with the last bytes of a connection of many small messages. The
// tunnel notices it, if not at once.
func TestResetWithTheLastBytes(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	var targets []*end
	for range 20 {
		peer, target := p.open(t)
		for range 20 {
			check(t, exchange(peer, target))
		}
		check(t, send(peer, 100))
		peer.reset()
		targets = append(targets, target)
	}
	for _, target := range targets {
		for {
			if _, err := target.Read(make([]byte, 100)); err != nil {
				if diagnose.IsTimeout(err) || err == io.EOF {
					t.Errorf("got %v, want a reset", err)
				}
				break
			}
		}
	}
}
