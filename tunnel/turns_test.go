package tunnel

import (
	"context"
	"crypto/tls"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// queued returns once n wait for a turn.
func queued(t *testing.T, turns *turns, n int) {
	t.Helper()
	eventually(t, "they wait", func() bool {
		turns.mu.Lock()
		defer turns.mu.Unlock()
		waiting := 0
		for _, queue := range turns.queues {
			waiting += len(queue)
		}
		return waiting == n
	})
}

func TestTurnsGoRound(t *testing.T) {
	leakCheck(t)
	turns := newTurns(1)
	check(t, turns.acquire(t.Context(), netip.Prefix{}, false))
	got := make(chan string)
	for i, name := range []string{"a1", "a2", "a3", "b1", "c1", "c2"} {
		go func() {
			_ = turns.acquire(context.Background(), netip.PrefixFrom(netip.AddrFrom4([4]byte{name[0]}), 32), false)
			got <- name
		}()
		queued(t, turns, i+1)
	}
	var order []string
	for range 6 {
		turns.release()
		order = append(order, <-got)
	}
	if want := []string{"a1", "b1", "c1", "a2", "c2", "a3"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
	turns.release()
	check(t, turns.acquire(t.Context(), netip.Prefix{}, false))
}

// However many addresses strangers come from, every second turn is for peers that were here
// before.
func TestTurnsOfReturningOrigins(t *testing.T) {
	leakCheck(t)
	turns, address := newTurns(1), func(name string) netip.Prefix {
		return netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 9, 8, name[0]}), 32)
	}
	check(t, turns.acquire(t.Context(), netip.Prefix{}, false))
	got := make(chan string)
	for i, name := range []string{"a1", "b1", "c1", "d1", "y1", "y2", "z1"} {
		go func() {
			_ = turns.acquire(context.Background(), address(name), name >= "y")
			got <- name
		}()
		queued(t, turns, i+1)
	}
	var order []string
	for range 7 {
		turns.release()
		order = append(order, <-got)
	}
	if want := []string{"y1", "a1", "z1", "b1", "y2", "c1", "d1"}; !slices.Equal(order, want) {
		t.Errorf("got %v, want %v", order, want)
	}
}

// A peer that leaves the queue takes no turn with it, not even a turn that came as it left.
func TestTurnsOfThoseWhoLeave(t *testing.T) {
	leakCheck(t)
	turns := newTurns(1)
	if err := turns.acquire(stopNow(), netip.Prefix{}, false); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v of a context that was over", err)
	}
	for range 200 {
		check(t, turns.acquire(t.Context(), netip.Prefix{}, false))
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error)
		go func() { left <- turns.acquire(ctx, netip.Prefix{}, false) }()
		queued(t, turns, 1)
		go cancel()
		turns.release()
		if <-left == nil {
			turns.release()
		}
		cancel()
		within, stop := context.WithTimeout(t.Context(), patience)
		check(t, turns.acquire(within, netip.Prefix{}, false))
		stop()
		turns.release()
	}
}

// While thousands of peers have sent a hello and are silent, the peer of another address has
// its handshake at once.
func TestHandshakeBesideSilentHellos(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	r := p.tunnels[0]
	hello := clientHello(clientTLS())
	silent := 1500
	if raceDetector {
		silent = 150
	}
	for range silent {
		_, err := mustDial(t, r.addr).Write(hello)
		check(t, err)
	}
	atOnce(t, "a handshake", func() time.Duration {
		began := time.Now()
		peer := mustDialFrom(t, "127.0.0.2", r.addr)
		check(t, peer.secure(tls.Client, clientTLS()))
		took := time.Since(began)
		target, err := p.accept()
		check(t, err)
		check(t, exchange(peer, target))
		target.tcp.Close()
		peer.tcp.Close()
		return took
	})
}
