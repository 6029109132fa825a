package tunnel

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"testing"
	"time"
)

const reasonStopping = "tlstunnel is stopping"

func TestShutdownWhileIdle(t *testing.T) {
	const silent = 50
	for name, peers := range map[string]int{"no connection": 0, "silent ones in the handshake": silent} {
		t.Run(name, func(t *testing.T) {
			leakCheck(t)
			atOnce(t, "Shutdown", func() time.Duration {
				p := newPath(t, "server", nil)
				r := p.tunnels[0]
				for range peers {
					mustDial(t, r.addr)
				}
				eventually(t, "all are in the handshake", func() bool { return r.live.count() == peers })
				began := time.Now()
				check(t, r.Shutdown(context.Background()))
				took := time.Since(began)
				for i := range peers {
					r.logs.expect(t, i, slog.LevelDebug, "handshake failed", byTunnel, reasonStopping)
				}
				return took
			})
		})
	}
}

// A stop gives up a dial under way, with TLS and without.
func TestShutdownWhileDialling(t *testing.T) {
	silent := listen(t) // accepts, but never sends a byte of TLS
	for name, target := range map[string]Target{
		"connecting": {Address: unresponsivePort(t)},
		"in its TLS": {Address: silent.Addr().String(), TLS: clientTLS()},
	} {
		t.Run(name, func(t *testing.T) {
			if target.Address == "" {
				t.Skip("not to be had on this system")
			}
			leakCheck(t)
			atOnce(t, "Shutdown", func() time.Duration {
				r := start(t, Settings{Targets: []Target{target, {Address: closedPort(t)}}})
				peer := mustDial(t, r.addr)
				if target.TLS != nil {
					c, err := silent.Accept()
					check(t, err)
					defer c.Close()
				} else {
					eventually(t, "the connection is accepted", func() bool { return r.live.count() == 1 })
				}
				began := time.Now()
				check(t, r.Shutdown(context.Background()))
				took := time.Since(began)
				r.logs.expect(t, 0, slog.LevelDebug, "target failed", byTunnel, reasonStopping)
				wantReset(t, peer)
				return took
			})
		})
	}
}

func TestShutdownWaitsForConnections(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			peer, target := p.open(t)
			r := p.tunnels[0]
			check(t, exchange(peer, target))
			done := make(chan error, 1)
			go func() { done <- r.Shutdown(context.Background()) }()
			eventually(t, "no connection begins to relay any more", func() bool { return r.setup.Err() != nil })
			refusedSoon(t, r.addr)
			check(t, exchange(peer, target))
			select {
			case err := <-done:
				t.Fatalf("Shutdown returned %v while a connection was relayed", err)
			default:
			}
			check(t, peer.CloseWrite(), receiveEnd(target), send(target, 1000), target.CloseWrite(), receiveAll(peer, 1000))
			check(t, <-done)
			if got := r.Stats(); got.Completed != 1 || got.Interrupted != 0 {
				t.Errorf("got %+v", got)
			}
		})
	}
}

// refusedSoon waits until no socket listens at addr any more. A connection that was accepted
// just before is closed.
func refusedSoon(t testing.TB, addr string) {
	t.Helper()
	eventually(t, "new connections are refused", func() bool {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			c.Close()
		}
		return errors.Is(err, errRefused)
	})
}

func TestShutdownClosesWhatDoesNotEnd(t *testing.T) {
	for _, mode := range modes {
		t.Run(mode, func(t *testing.T) {
			leakCheck(t)
			p := newPath(t, mode, nil)
			peer, target := p.open(t)
			r := p.tunnels[0]
			check(t, exchange(peer, target))
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			if err := r.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want the context's error", err)
			}
			r.logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byTunnel, "shutdown_grace is over")
			for _, e := range []*end{peer, target} {
				wantReset(t, e)
			}
		})
	}
}

// If a drain cuts no connection short, Shutdown returns no error, whatever time it had.
func TestShutdownWithoutTime(t *testing.T) {
	leakCheck(t)
	for range 50 {
		check(t, start(t, toTargets(closedPort(t))).Shutdown(stopNow()))
	}
}

func TestShutdownTwiceAndServeAfter(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	peer, target := p.open(t)
	r := p.tunnels[0]
	check(t, exchange(peer, target))
	shutdown := func() error { return r.Shutdown(context.Background()) }
	check(t, together(shutdown, shutdown, func() error {
		refusedSoon(t, r.addr)
		peer.tcp.Close()
		target.tcp.Close()
		return nil
	}))
	check(t, shutdown())

	l := listen(t)
	check(t, r.Serve(l), r.Serve(l))
	if _, err := net.Dial("tcp", l.Addr().String()); !errors.Is(err, errRefused) {
		t.Errorf("Serve after Shutdown left the listener open: %v", err)
	}
}

// If Serve and Shutdown run at the same moment, one of them wins and nothing hangs.
func TestShutdownAgainstServe(t *testing.T) {
	leakCheck(t)
	for range 100 {
		s, _ := complete(toTargets(closedPort(t)))
		tun, l := New(s), listen(t)
		check(t, together(
			func() error { return tun.Serve(l) },
			func() error { return tun.Shutdown(context.Background()) }))
	}
}
