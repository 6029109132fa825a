package tunnel

import (
	"errors"
	"io"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// bulk makes n smaller where it would take too long.
func bulk(n int64) int64 {
	if raceDetector || testing.Short() {
		return n / 16
	}
	return n
}

func TestFullDuplex(t *testing.T) {
	leakCheck(t)
	n := bulk(256 << 20)
	p := newPath(t, "pair", nil)
	peer, target := p.open(t)
	check(t, together(
		func() error { return errors.Join(send(peer, n), peer.CloseWrite()) },
		func() error { return errors.Join(send(target, n), target.CloseWrite()) },
		func() error { return receiveAll(peer, n) },
		func() error { return receiveAll(target, n) },
	))
	for _, r := range p.tunnels {
		if rec := r.logs.next(t, 0); rec.message != "connection closed" || rec.attrs["to_peer"].Int64() != n {
			t.Error(rec)
		}
	}
}

func TestOneWay(t *testing.T) {
	leakCheck(t)
	n := bulk(1 << 30)
	p := newPath(t, "server", nil)
	peer, target := p.open(t)
	check(t, together(
		func() error { return errors.Join(send(peer, n), peer.CloseWrite()) },
		func() error { return receiveAll(target, n) },
	))
	target.tcp.Close()
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
}

func TestTinyWrites(t *testing.T) {
	const n = 10000
	tests := map[string]func(peer, target *end) error{
		"one way": func(peer, target *end) error {
			return together(
				func() error {
					for _, b := range noise()[:n] {
						if _, err := peer.Write([]byte{b}); err != nil {
							return err
						}
					}
					return nil
				},
				func() error { return receive(target, n) })
		},
		"ping-pong": func(peer, target *end) error {
			bounce := func(e *end, serve bool) error {
				got := []byte{0}
				for _, b := range noise()[:n] {
					if serve {
						if _, err := e.Write([]byte{b}); err != nil {
							return err
						}
					}
					if _, err := io.ReadFull(e, got); err != nil {
						return err
					}
					if got[0] != b {
						return errors.New("other bytes than were sent")
					}
					if !serve {
						if _, err := e.Write(got); err != nil {
							return err
						}
					}
				}
				return nil
			}
			return together(
				func() error { return bounce(peer, true) },
				func() error { return bounce(target, false) })
		},
	}
	for name, run := range tests {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			peer, target := newPath(t, "pair", nil).open(t)
			check(t, run(peer, target))
		})
	}
}

// In SMTP, FTP, MySQL and others the server speaks first, and the client waits.
func TestServerSpeaksFirst(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			peer, target := newPath(t, mode, nil).open(t)
			check(t, send(target, 50), receive(peer, 50))
			check(t, send(peer, 50), receive(target, 50))
		})
	}
}

func TestManyConnections(t *testing.T) {
	leakCheck(t)
	const n = 2000
	p := newPath(t, "server", nil)
	p.echo(t)

	var running sync.WaitGroup
	var alive atomic.Int64
	errs := make(chan error, n)
	allAlive := make(chan struct{})
	turns := make(chan struct{}, 64) // dials at a time, so that the backlog isn't full
	for range n {
		running.Go(func() {
			errs <- func() error {
				turns <- struct{}{}
				e, err := p.dial()
				<-turns
				if err != nil {
					return err
				}
				defer e.tcp.Close()
				if err := errors.Join(send(e, 1000), receive(e, 1000)); err != nil {
					return err
				}
				if alive.Add(1) == n {
					close(allAlive)
				}
				<-allAlive
				return errors.Join(send(e, 5000), receive(e, 5000), e.CloseWrite(), receiveEnd(e))
			}()
		})
	}
	for range n {
		if err := <-errs; err != nil {
			t.Fatal(err) // the others wait for allAlive: the process ends with them
		}
	}
	running.Wait()
	for _, rec := range p.tunnels[0].logs.wait(t, n) {
		if rec.message != "connection closed" {
			t.Fatal(rec)
		}
	}
	want := Stats{Completed: n, ToTarget: 6000 * n, ToPeer: 6000 * n}
	if got := p.tunnels[0].Stats(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// If a sender is faster than its reader, the tunnel holds it back instead of buffering.
func TestSlowReaderHoldsSenderBack(t *testing.T) {
	const total = 256 << 20
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			peer, target := p.open(t)
			noise()
			before := heapInUse()

			pushed := &countingWriter{w: target}
			sent := make(chan error, 1)
			go func() { sent <- errors.Join(send(pushed, total), target.CloseWrite()) }()
			settled(t, &pushed.n)
			// Each of the TCP connections has a send and a receive buffer, and each
			// tunnel a chunk, and one of TLS records.
			sockets := int64(len(p.tunnels)+1) * (socketBuffers + 2*192<<10)
			if n := pushed.n.Load(); n > sockets || n == 0 {
				t.Errorf("the sender could push %d KiB to a reader that doesn't read, more than %d", n>>10, sockets>>10)
			}
			if grown := int64(heapInUse()) - int64(before); grown > 4<<20 {
				t.Errorf("the heap grew by %d KiB", grown>>10)
			}
			read := int64(total)
			if raceDetector || testing.Short() {
				read = 16 << 20
			}
			check(t, receive(peer, read))
			if read < total {
				peer.tcp.Close()
				<-sent
				return
			}
			check(t, receiveEnd(peer), <-sent)
		})
	}
}

// socketBuffers is what Linux gives a connection at the most, both ends together
// (the last figures of net.ipv4.tcp_rmem and tcp_wmem), with some room.
const socketBuffers = 48 << 20

type countingWriter struct {
	w io.Writer
	n atomic.Int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// settled waits until n has stopped growing.
func settled(t testing.TB, n *atomic.Int64) {
	t.Helper()
	last, since := n.Load(), time.Now()
	eventually(t, "the sender is held back", func() bool {
		if now := n.Load(); now != last || now == 0 {
			last, since = now, time.Now()
		}
		return time.Since(since) > 200*time.Millisecond
	})
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
