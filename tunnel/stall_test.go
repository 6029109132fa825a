package tunnel

import (
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"tlstunnel/internal/sock"
)

// To the tunnel, these peers look like a peer that vanished without a FIN: they send nothing
// any more.
func TestSilenceIsEnded(t *testing.T) {
	leakCheck(t)
	const limit = 400 * time.Millisecond // longer than a busy machine takes for a few bytes
	tests := []struct {
		name   string
		edit   func(*Settings)
		before func(peer, target *end) error
		reason string
	}{
		{
			"idle_timeout",
			func(s *Settings) { s.IdleTimeout = limit },
			exchange,
			"no progress for idle_timeout",
		}, {
			"half_close_timeout, the peer has ended",
			func(s *Settings) { s.HalfCloseTimeout = limit },
			func(peer, target *end) error { return errors.Join(peer.CloseWrite(), receiveEnd(target)) },
			"no progress for half_close_timeout after one side had ended",
		}, {
			"half_close_timeout, the target has ended",
			func(s *Settings) { s.HalfCloseTimeout = limit },
			func(peer, target *end) error { return errors.Join(target.CloseWrite(), receiveEnd(peer)) },
			"no progress for half_close_timeout after one side had ended",
		}, {
			"a longer idle_timeout doesn't put half_close_timeout off",
			func(s *Settings) { s.HalfCloseTimeout, s.IdleTimeout = limit, time.Minute },
			func(peer, target *end) error { return errors.Join(target.CloseWrite(), receiveEnd(peer)) },
			"no progress for half_close_timeout after one side had ended",
		}, {
			"nor does half_close_timeout a shorter idle_timeout",
			func(s *Settings) { s.HalfCloseTimeout, s.IdleTimeout = time.Minute, limit },
			func(peer, target *end) error { return errors.Join(target.CloseWrite(), receiveEnd(peer)) },
			"no progress for idle_timeout",
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, "server", test.edit)
			peer, target := p.open(t)
			quiet := time.Now() // from then on, or a moment later
			check(t, test.before(peer, target))
			rec := p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byTunnel, test.reason)
			if d := rec.time.Sub(quiet); d < limit*9/10 {
				t.Errorf("ended after %v, before the limit of %v", d, limit)
			}
			for _, e := range []*end{peer, target} {
				// A direction that had ended stays ended. The reset is for the one that
				// hadn't.
				if _, err := e.tcp.Write([]byte{0}); err == nil {
					_, err = io.Copy(io.Discard, e.tcp)
					_, err2 := e.tcp.Write([]byte{0})
					if err == nil && err2 == nil {
						t.Error("an end is still connected")
					}
				}
			}
		})
	}
}

// A connection on which something is said now and then isn't idle, however long it lasts.
func TestProgressIsNotIdle(t *testing.T) {
	leakCheck(t)
	const limit = 600 * time.Millisecond
	p := newPath(t, "pair", func(s *Settings) { s.IdleTimeout = limit })
	peer, target := p.open(t)
	tick := time.NewTicker(limit / 4)
	defer tick.Stop()
	for range 10 {
		<-tick.C
		check(t, send(peer, 1), receive(target, 1))
	}
	check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
	p.tunnels[0].logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
}

// A reader may take many times half_close_timeout for the rest of the stream. It isn't
// stalled, even if none of our writes returns for longer than that.
func TestSlowReaderOutlivesHalfCloseTimeout(t *testing.T) {
	leakCheck(t)
	const total, limit = 32 << 20, 600 * time.Millisecond // a busy machine stalls for a third of that
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			p := newPath(t, mode, func(s *Settings) { s.HalfCloseTimeout = limit })
			peer, target := p.open(t)
			check(t, peer.CloseWrite(), receiveEnd(target))
			// The rest is written as fast as possible. It is read 64 KiB at a time with
			// pauses, for four times the limit, and then at full speed.
			pause := 20 * time.Millisecond
			if mode == "pair" {
				// The client tunnel reads at once what the kernel holds for it. So Linux
				// gives it a large receive buffer, and announces room to the server tunnel
				// only for each sixteenth of that.
				pause = 4 * time.Millisecond
			}
			sent := make(chan error, 1)
			go func() { sent <- errors.Join(send(target, total), target.CloseWrite()) }()
			slow := &pausingReader{r: peer, tick: time.NewTicker(pause), until: time.Now().Add(4 * limit)}
			defer slow.tick.Stop()
			check(t, receiveAll(slow, total), <-sent)
			for _, r := range p.tunnels {
				r.logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
			}
		})
	}
}

type pausingReader struct {
	r     io.Reader
	tick  *time.Ticker
	until time.Time
}

func (p *pausingReader) Read(b []byte) (int, error) {
	if time.Now().Before(p.until) {
		<-p.tick.C
	}
	return p.r.Read(b)
}

// If only our close_notify is left to be written and the peer stops reading,
// half_close_timeout applies as well.
func TestStallWhileEndIsPassedOn(t *testing.T) {
	leakCheck(t)
	s, logs := complete(Settings{HalfCloseTimeout: 100 * time.Millisecond})
	tun := New(s)
	_, accepted := connect(t)
	target, dialled := connect(t)
	front, back := newSide(asSock(t, accepted), byPeer), newSide(asSock(t, dialled), byTarget)
	front.stream = clogged{front.socket}
	check(t, target.CloseWrite())
	c := &conn{settings: tun.settings.Load(), front: front, back: back}
	tun.register(c)
	go tun.relay(c)
	logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byTunnel, "no progress for half_close_timeout after one side had ended")
}

// clogged is a stream to a peer that reads nothing, so that a close_notify doesn't fit into
// the buffers.
type clogged struct{ *sock.Conn }

func (c clogged) CloseWrite() error {
	for {
		if _, err := c.Write(noise()); err != nil {
			return err
		}
	}
}
