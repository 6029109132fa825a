package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/internal/sock"
)

// leaving has the ways in which a program can leave while the other end still sends.
var leaving = map[string]func(*end) error{
	"close":                  func(e *end) error { return e.tcp.Close() },
	"end of stream, close":   func(e *end) error { return errors.Join(e.CloseWrite(), e.tcp.Close()) },
	"reset":                  func(e *end) error { e.reset(); return nil },
	"end of stream, reset":   func(e *end) error { check := e.CloseWrite(); e.reset(); return check },
	"close, after its bytes": func(e *end) error { return errors.Join(send(e, 1000), e.CloseWrite(), e.tcp.Close()) },
}

// lookOften makes a tunnel look for dead sides every 50 ms.
func lookOften(s *Settings) { s.Keepalive = checksPerLimit * 50 * time.Millisecond }

// If one end has left, the tunnel doesn't read the other end's stream to its end, and doesn't
// wait for a timeout. That holds for both ends, for each way to leave, and through two
// tunnels.
func TestStreamForNobody(t *testing.T) {
	for _, mode := range modes {
		for _, who := range []string{byPeer, byTarget} {
			for how, leave := range leaving {
				t.Run(mode+"/"+who+"/"+how, func(t *testing.T) {
					t.Parallel()
					p := newPath(t, mode, lookOften)
					gone, stays := p.open(t)
					if who == byTarget {
						gone, stays = stays, gone
					}
					check(t, exchange(gone, stays))
					pushed := &countingWriter{w: stays}
					sent := make(chan error, 1)
					go func() { sent <- send(pushed, 1<<40) }()
					check(t, leave(gone))
					if err := <-sent; diagnose.IsTimeout(err) {
						t.Error(err)
					}
					if most := int64(len(p.tunnels)+1) * socketBuffers; pushed.n.Load() > most {
						t.Errorf("the tunnel took %d MiB that it could only discard", pushed.n.Load()>>20)
					}
					stays.tcp.Close()
					for _, r := range p.tunnels {
						if rec := r.logs.next(t, 0); rec.message != "connection interrupted" || rec.text("ended_by") != who {
							t.Error(rec)
						}
					}
				})
			}
		}
	}
}

// What a program sent before it left still arrives, with its end of stream. That holds even
// if the other end has much to send before it reads, and reads slowly.
func TestLastBytesArrive(t *testing.T) {
	// Neither end reads before all n have left. That is less than the buffers of three
	// sockets hold, however small the system has made them.
	const n, answer = 1 << 20, 64 << 20
	for _, mode := range modes {
		for _, who := range []string{byPeer, byTarget} {
			t.Run(mode+"/"+who, func(t *testing.T) {
				t.Parallel()
				p := newPath(t, mode, lookOften)
				gone, stays := p.open(t)
				if who == byTarget {
					gone, stays = stays, gone
				}
				left := make(chan error, 1)
				go func() {
					err := errors.Join(send(gone, n), gone.CloseWrite())
					if !reached(func() bool { return unacknowledged(gone.tcp) == 0 }) {
						err = errors.New("not all has left")
					}
					left <- errors.Join(err, gone.tcp.Close())
				}()
				if err := send(stays, answer); diagnose.IsTimeout(err) { // a reset, after its system has received everything
					t.Fatal(err)
				}
				slow := &pausingReader{r: stays, tick: time.NewTicker(5 * time.Millisecond), until: time.Now().Add(300 * time.Millisecond)}
				defer slow.tick.Stop()
				check(t, receiveAll(slow, n), <-left)
			})
		}
	}
}

// The same, but the other end's answer, still unread, has ended as well. The system then
// doesn't say whether a reset came after the end of the stream.
func TestLastBytesArriveAfterAnswer(t *testing.T) {
	const n, answer = 16 << 20, 1 << 20
	for _, mode := range modes {
		for _, who := range []string{byPeer, byTarget} {
			t.Run(mode+"/"+who, func(t *testing.T) {
				t.Parallel()
				p := newPath(t, mode, lookOften)
				gone, stays := p.open(t)
				if who == byTarget {
					gone, stays = stays, gone
				}
				check(t, gone.tcp.SetReadBuffer(4096), send(stays, answer), stays.CloseWrite())
				sent := make(chan error, 1)
				go func() { sent <- errors.Join(send(gone, n), gone.CloseWrite()) }()
				left := false
				check(t, receiveAll(readerFunc(func(b []byte) (int, error) {
					if !left && len(sent) == 1 && unacknowledged(gone.tcp) == 0 {
						left = true
						check(t, <-sent, gone.tcp.Close())
						time.Sleep(300 * time.Millisecond) // several looks
					} else if !left {
						time.Sleep(time.Millisecond) // otherwise the tunnel would already have passed on everything
					}
					return stays.Read(b)
				}), n))
				if !left {
					t.Error("the tunnel had passed on everything before the close")
				}
			})
		}
	}
}

// The bytes that the peer sent before it left are stuck. What the tunnel reads from the
// target and discards meanwhile is bounded.
func TestDiscardIsBounded(t *testing.T) {
	leakCheck(t)
	s, logs := complete(Settings{})
	tun := New(s)
	peer, accepted := connect(t)
	target, dialled := connect(t)
	front, back := newSide(asSock(t, accepted), byPeer), newSide(asSock(t, dialled), byTarget)
	back.stream = stuck{back.socket}
	check(t, send(peer, 10), peer.CloseWrite(), peer.tcp.Close())
	c := &conn{settings: tun.settings.Load(), front: front, back: back}
	tun.register(c)
	go tun.relay(c)

	pushed := &countingWriter{w: target}
	if err := send(pushed, 1<<40); diagnose.IsTimeout(err) {
		t.Error(err)
	}
	if n := pushed.n.Load(); n < maxDiscarded || n > maxDiscarded+socketBuffers {
		t.Errorf("the tunnel took %d MiB that it could only discard", n>>20)
	}
	logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer, "the peer reset the connection")
}

// stuck is a stream to a program that never reads.
type stuck struct{ *sock.Conn }

func (c stuck) Write(b []byte) (int, error) {
	for {
		if _, err := c.Conn.Write(noise()); err != nil {
			return 0, err
		}
	}
}

// If peers go while the target reads nothing, nothing of them stays behind, whether there are
// unread bytes before their reset or not.
func TestHungTarget(t *testing.T) {
	leakCheck(t)
	for _, mode := range modes[:2] {
		for _, size := range []string{"nothing", "some", "as much as there is room for"} {
			t.Run(mode+"/"+size, func(t *testing.T) {
				t.Parallel()
				p := newPath(t, mode, lookOften)
				const peers = 3
				var left []func() error
				for range peers {
					peer, _ := p.open(t)
					left = append(left, func() error {
						defer peer.reset()
						switch size {
						case "some":
							return send(peer, 10000)
						case "as much as there is room for":
							return fill(peer)
						}
						return nil
					})
				}
				check(t, together(left...))
				for i := range peers {
					p.tunnels[0].logs.expect(t, i, slog.LevelInfo, "connection interrupted", byPeer, "the peer reset the connection")
				}
			})
		}
	}
}

// If a peer resets after the end of its stream, it is gone. The tunnel notices, though it no
// longer reads from that peer.
func TestResetAfterEndOfStream(t *testing.T) {
	for _, mode := range modes[:2] {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, mode, lookOften)
			peer, target := p.open(t)
			check(t, send(peer, 1000), peer.CloseWrite(), receiveAll(target, 1000))
			peer.reset()
			p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer, "the peer reset the connection")
			if _, err := io.Copy(io.Discard, target); diagnose.IsTimeout(err) {
				t.Error(err)
			}
		})
	}
}

// A TLS 1.3 peer ends its stream and closes while the target hangs. The tunnel writes the
// held session ticket, which makes the kernel of the peer reset the connection. A peer that
// waits for the answer isn't harmed by the ticket.
func TestTicketFindsClosedPeer(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", lookOften)
	open := func() (peer, target *end) {
		config := clientTLS()
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0) // without a cache, Go ignores tickets
		peer = mustDialTLS(t, p.tunnels[0].addr, config)
		target, err := p.accept()
		check(t, err)
		t.Cleanup(func() { target.tcp.Close() })
		return peer, target
	}
	waits, answers := open()
	check(t, send(waits, 1000), waits.CloseWrite(), receiveAll(answers, 1000))
	gone, hangs := open()
	check(t, send(gone, 1000), gone.CloseWrite(), gone.tcp.Close(), receiveAll(hangs, 1000))
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byPeer, "the peer reset the connection")
	check(t, send(answers, 1000), answers.CloseWrite(), receiveAll(waits, 1000))
	p.tunnels[0].logs.expect(t, 1, slog.LevelInfo, "connection closed", byPeer, "end of stream")
}
