package tunnel

import (
	"crypto/tls"
	"net"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"tlstunnel/internal/sock"
)

// A connection that was idle for so long that new goroutines serve it goes on as usual.
func TestIdle(t *testing.T) {
	leakCheck(t)
	live := countChunks(t)
	type ends struct{ peer, target *end }
	paths, open := map[string]*path{}, map[string][]ends{}
	directions := 0
	for _, mode := range modes {
		p := newPath(t, mode, nil)
		paths[mode] = p
		for range 4 {
			peer, target := p.open(t)
			check(t, exchange(peer, target))
			open[mode] = append(open[mode], ends{peer, target})
			directions += 2 * len(p.tunnels)
		}
	}
	if live.Load() == 0 {
		t.Error("no chunk was used")
	}
	slow := mustDial(t, paths["server"].tunnels[0].addr)
	halves := &halvingConn{Conn: slow.tcp}
	stream := tls.Client(halves, clientTLS())
	check(t, stream.Handshake())
	half, err := paths["server"].accept()
	check(t, err)
	t.Cleanup(func() { half.tcp.Close() })
	halves.halve = true
	check(t, send(stream, 1000))
	directions += 2

	stacks := make([]byte, 1<<20)
	eventually(t, "all directions wait on new goroutines", func() bool {
		return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), "(*relaying).await(") == directions
	})

	eventually(t, "no chunk is kept", func() bool {
		runtime.GC()
		return live.Load() == 0
	})

	_, err = slow.tcp.Write(halves.rest)
	check(t, err, receive(half, 1000))
	slow.tcp.Close()
	half.tcp.Close()
	for _, mode := range modes {
		p, all := paths[mode], open[mode]
		both, halfClosed, reset, cutShort := all[0], all[1], all[2], all[3]

		check(t, exchange(both.peer, both.target), both.target.CloseWrite(), receiveEnd(both.peer), both.peer.CloseWrite(), receiveEnd(both.target))
		check(t, halfClosed.peer.CloseWrite(), receiveEnd(halfClosed.target),
			together(func() error { return send(halfClosed.target, 1<<20) }, func() error { return receive(halfClosed.peer, 1<<20) }),
			halfClosed.target.CloseWrite(), receiveEnd(halfClosed.peer))
		reset.target.reset()
		wantReset(t, reset.peer)
		for _, r := range p.tunnels {
			eventually(t, mode+": the others have ended", func() bool { return r.Stats().Active == 1 })
			for _, rec := range r.logs.all() {
				if rec.message == "connection interrupted" && rec.text("reason") != "the target reset the connection" {
					t.Error(rec)
				}
			}
		}
		if err := p.tunnels[0].Shutdown(stopNow()); err == nil {
			t.Error(mode + ": no connection was cut short")
		}
		wantReset(t, cutShort.peer)
	}
}

// countChunks counts the bytes of the chunks that the garbage collector hasn't freed. At its
// start there are none.
func countChunks(t *testing.T) *atomic.Int64 {
	runtime.GC()
	runtime.GC() // a pool is empty after two collections
	live := new(atomic.Int64)
	for _, chunks := range sock.Pools() {
		makeChunk := chunks.New
		chunks.New = func() any {
			c := makeChunk().(*sock.Chunk)
			live.Add(int64(len(c.B)))
			runtime.AddCleanup(c, func(size int64) { live.Add(-size) }, int64(len(c.B)))
			return c
		}
		t.Cleanup(func() { chunks.New = makeChunk })
	}
	return live
}

// halvingConn holds back the second half of each write.
type halvingConn struct {
	net.Conn
	halve bool
	rest  []byte
}

func (c *halvingConn) Write(b []byte) (int, error) {
	if !c.halve {
		return c.Conn.Write(b)
	}
	n, err := c.Conn.Write(b[:len(b)/2])
	c.rest = append(c.rest, b[n:]...)
	return len(b), err
}
