package tunnel

import (
	"log/slog"
	"testing"
	"time"
)

// only waits until the one connection of r is at that step, and returns it.
func only(t *testing.T, r *running, at step) Connection {
	t.Helper()
	var all []Connection
	eventually(t, "a connection is at the step "+at.String(), func() bool {
		all = r.Connections()
		return len(all) == 1 && all[0].Step == at.String()
	})
	return all[0]
}

// A connection is listed from accept on, with what is known of it.
func TestConnectionsAreListed(t *testing.T) {
	leakCheck(t)
	began := time.Now()
	p := newPath(t, "server", nil)
	r := p.tunnels[0]
	peer := mustDial(t, r.addr)
	first := only(t, r, stepHandshake)
	if first.Tunnel != "server" || first.Peer.String() != peer.tcp.LocalAddr().String() || first.Target != "" || first.Since.Before(began) {
		t.Errorf("got %+v", first)
	}
	peer.tcp.Close()
	eventually(t, "it is gone", func() bool { return len(r.Connections()) == 0 })

	peer, target := p.open(t)
	check(t, exchange(peer, target), send(peer, 1000), receive(target, 1000))
	second := only(t, r, stepRelay)
	if second.ID <= first.ID || second.Target != p.target.Addr().String() {
		t.Errorf("got %+v after %+v", second, first)
	}
	eventually(t, "the bytes are counted", func() bool {
		now := r.Connections()[0]
		return now.ToTarget == now.ToPeer+1000 && now.ToPeer > 0
	})
}

// End ends a connection at any step, and counts as a failure of neither side.
func TestConnectionsAreEnded(t *testing.T) {
	const reason = "it was ended by command"
	t.Run("handshake", func(t *testing.T) {
		leakCheck(t)
		r := newPath(t, "server", nil).tunnels[0]
		peer := mustDial(t, r.addr)
		if at := only(t, r, stepHandshake); !r.End(at.ID) || r.End(at.ID+1) {
			t.Error("End took another connection than that which there is")
		}
		wantReset(t, peer)
		r.logs.expect(t, 0, slog.LevelInfo, "handshake failed", byTunnel, reason)
	})
	t.Run("dial", func(t *testing.T) {
		leakCheck(t)
		dead := unresponsivePort(t)
		if dead == "" {
			t.Skip("not to be had on this system")
		}
		r := start(t, toTargets(dead, closedPort(t)))
		peer := mustDial(t, r.addr)
		at := only(t, r, stepDial)
		eventually(t, "the target is listed, soon after the step", func() bool { return only(t, r, stepDial).Target == dead })
		r.End(at.ID)
		wantReset(t, peer)
		r.logs.expect(t, 0, slog.LevelInfo, "target failed", byTunnel, reason)
		if down := r.Targets()[0].DownSince; !down.IsZero() {
			t.Error("the target counts as down")
		}
	})
	t.Run("relay", func(t *testing.T) {
		leakCheck(t)
		p := newPath(t, "server", nil)
		r := p.tunnels[0]
		peer, target := p.open(t)
		check(t, exchange(peer, target))
		r.End(only(t, r, stepRelay).ID)
		wantReset(t, peer)
		wantReset(t, target)
		r.logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byTunnel, reason)
		if r.End(1 << 60) {
			t.Error("there is no such connection")
		}
	})
	t.Run("between dial and relay", func(t *testing.T) {
		leakCheck(t)
		s, logs := complete(Settings{})
		tun := New(s)
		peer, accepted := connect(t)
		target, dialled := connect(t)
		c := &conn{settings: tun.settings.Load(), front: newSide(asSock(t, accepted), byPeer), back: newSide(asSock(t, dialled), byTarget)}
		tun.register(c)
		tun.End(c.id)
		tun.relay(c)
		wantReset(t, peer)
		wantReset(t, target)
		logs.expect(t, 0, slog.LevelInfo, "connection interrupted", byTunnel, reason)
		check(t, tun.Shutdown(t.Context()))
	})
}

// Listing and ending connections at random is safe while connections come and go.
func TestConnectionsComeAndGo(t *testing.T) {
	leakCheck(t)
	p := newPath(t, "server", nil)
	p.echo(t)
	r := p.tunnels[0]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			if peer, err := p.dial(); err == nil {
				_ = send(peer, 1000)
				peer.tcp.Close()
			}
		}
	}()
	for listed := 0; ; listed++ {
		for _, c := range r.Connections() {
			if c.ID%2 == 0 {
				r.End(c.ID)
			}
		}
		select {
		case <-done:
			eventually(t, "all are gone", func() bool { return r.Stats().Active == 0 })
			return
		default:
		}
	}
}
