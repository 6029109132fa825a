package tunnel

import (
	"errors"
	"log/slog"
	"os"
	"testing"
	"time"
)

// If one end resets its connection, the other must see an error. An end of stream would make
// half a transfer look complete.
func TestReset(t *testing.T) {
	for _, mode := range modes {
		for _, who := range []string{byPeer, byTarget} {
			t.Run(mode+"/"+who+" resets", func(t *testing.T) {
				leakCheck(t)
				p := newPath(t, mode, nil)
				otherPeer, otherTarget := p.open(t)
				resetting, other := p.open(t)
				if who == byTarget {
					resetting, other = other, resetting
				}
				check(t, exchange(resetting, other))

				start := time.Now()
				resetting.reset()
				wantReset(t, other)
				if took := time.Since(start); took > 4*time.Second { // a timeout would end it after half a minute
					t.Errorf("the other end heard of it after %v", took)
				}
				for _, r := range p.tunnels {
					r.logs.expect(t, 0, slog.LevelInfo, "connection interrupted", who, "the "+who+" reset the connection")
				}
				check(t, exchange(otherPeer, otherTarget))
			})
		}
	}
}

// Linux gives the error of a reset to one system call only. If that is a write, the next read
// returns an end of stream, which isn't true.
func TestResetUnderTraffic(t *testing.T) {
	const rounds = 12 // each try finds the fault every other time
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			for range rounds {
				peer, target := p.open(t)
				// Fill every buffer on the way to the peer, so that the tunnel is blocked in
				// a write to it. The target then writes no more, so the read from the target
				// gets the error.
				_ = target.tcp.SetWriteDeadline(time.Now().Add(20 * time.Millisecond))
				if err := send(target, 1<<30); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Fatal(err)
				}
				check(t, send(peer, 100), receive(target, 100))
				peer.reset()
				check(t, receiveReset(target)) // not an end of stream
				target.tcp.Close()
			}
			for _, r := range p.tunnels {
				for _, rec := range r.logs.wait(t, rounds) {
					if rec.message != "connection interrupted" || rec.text("reason") != "the peer reset the connection" {
						t.Error(rec)
					}
				}
			}
		})
	}
}
