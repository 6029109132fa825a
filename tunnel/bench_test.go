package tunnel

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"tlstunnel/internal/sock"
)

// BenchmarkRelay moves bytes through a tunnel in server mode and, as yardsticks,
// through a relay of plain TCP and through TLS without a relay. Up is from the
// peer to the target. All of a connection's ends run in this process, on its
// cores.
func BenchmarkRelay(b *testing.B) {
	for _, way := range []struct {
		name string
		open func(testing.TB) (peer, target *end)
	}{
		{"tunnel", openTunnel},
		{"plain TCP relay", openPlainRelay},
		{"TLS without a relay", openTLS},
	} {
		for _, direction := range []string{"up", "down"} {
			b.Run(way.name+"/"+direction, func(b *testing.B) { benchmarkTransfer(b, way.open, direction) })
		}
	}
}

func benchmarkTransfer(b *testing.B, open func(testing.TB) (peer, target *end), direction string) {
	const size = 1 << 20
	from, to := open(b)
	if direction == "down" {
		from, to = to, from
	}
	b.SetBytes(size)
	b.ReportAllocs()
	b.ResetTimer()
	check(b, together(
		func() error { return send(from, int64(b.N)*size) },
		func() error {
			_, err := io.CopyN(io.Discard, struct{ io.Reader }{to}, int64(b.N)*size)
			return err
		}))
}

func openTunnel(b testing.TB) (peer, target *end) { return newPath(b, "server", nil).open(b) }

// openPlainRelay is io.Copy both ways, without splice(2), which TLS rules out.
func openPlainRelay(b testing.TB) (peer, target *end) {
	l, targets := listen(b), listen(b)
	peer = mustDial(b, l.Addr().String())
	front, err := l.Accept()
	check(b, err)
	back, err := net.Dial("tcp", targets.Addr().String())
	check(b, err)
	accepted, err := targets.Accept()
	check(b, err)
	var running sync.WaitGroup
	relay := func(to, from net.Conn) {
		_, _ = io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, 32<<10))
	}
	running.Go(func() { relay(front, back) })
	running.Go(func() { relay(back, front) })
	b.Cleanup(func() {
		for _, c := range []net.Conn{front, back, accepted} {
			c.Close()
		}
		running.Wait()
	})
	return peer, newEnd(accepted)
}

func openTLS(b testing.TB) (peer, target *end) {
	l := listen(b)
	peer = mustDial(b, l.Addr().String())
	accepted, err := l.Accept()
	check(b, err)
	b.Cleanup(func() { accepted.Close() })
	target = newEnd(accepted)
	check(b, together(
		func() error { return peer.secure(tls.Client, clientTLS()) },
		func() error { return target.secure(tls.Server, serverTLS()) }))
	return peer, target
}

// BenchmarkPingPong is the latency of 1 KiB there and back.
func BenchmarkPingPong(b *testing.B) {
	for _, way := range []struct {
		name string
		open func(testing.TB) (peer, target *end)
	}{
		{"tunnel", openTunnel},
		{"pair of tunnels", func(b testing.TB) (*end, *end) { return newPath(b, "pair", nil).open(b) }},
		{"plain TCP relay", openPlainRelay},
		{"TLS without a relay", openTLS},
	} {
		b.Run(way.name, func(b *testing.B) { benchmarkPingPong(b, way.open) })
	}
}

func benchmarkPingPong(b *testing.B, open func(testing.TB) (peer, target *end)) {
	peer, target := open(b)
	there, back := make([]byte, 1024), make([]byte, 1024)
	b.ReportAllocs()
	b.ResetTimer()
	check(b, together(
		func() error {
			for range b.N {
				if _, err := peer.Write(there); err != nil {
					return err
				}
				if _, err := io.ReadFull(peer, there); err != nil {
					return err
				}
			}
			return nil
		},
		func() error {
			for range b.N {
				if _, err := io.ReadFull(target, back); err != nil {
					return err
				}
				if _, err := target.Write(back); err != nil {
					return err
				}
			}
			return nil
		}))
}

// BenchmarkHandshake is a whole connection: TCP, TLS, the dial of the target, a
// byte each way, and the end. The client's part of the work is in it.
func BenchmarkHandshake(b *testing.B) {
	for name, resume := range map[string]bool{"full": false, "resumed": true} {
		b.Run(name, func(b *testing.B) { benchmarkHandshake(b, tunnelTo, resume) })
	}
}

func benchmarkHandshake(b *testing.B, serve func(testing.TB) (addr string), resume bool) {
	addr, config := serve(b), clientTLS()
	if resume {
		config.ClientSessionCache = tls.NewLRUClientSessionCache(0)
	}
	connect := func() error {
		e, err := dial(addr)
		if err != nil {
			return err
		}
		defer e.tcp.Close()
		if err := e.secure(tls.Client, config); err != nil {
			return err
		}
		return together(func() error { return send(e, 1) }, func() error { return receive(e, 1) })
	}
	check(b, connect())
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := connect(); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "conns/s")
}

// tunnelTo is a tunnel with an echo behind it.
func tunnelTo(b testing.TB) (addr string) {
	p := newPath(b, "server", nil)
	p.echo(b)
	return p.tunnels[0].addr
}

// BenchmarkCopy measures the copy loop alone, from a socket to nowhere. Once the loop runs,
// it must not allocate.
func BenchmarkCopy(b *testing.B) {
	sender, accepted := connect(b)
	sent := make(chan error, 1)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	go func() { sent <- errors.Join(send(sender, int64(b.N)<<20), sender.CloseWrite()) }()
	var c conn
	src, dst := newSide(asSock(b, accepted), byPeer), &side{stream: nowhere{}}
	_, err := (&flow{src: src, dst: dst, moved: &c.toBack}).copy()
	check(b, err, <-sent)
}

// nowhere is a stream that takes everything.
type nowhere struct{}

func (nowhere) Receive(sock.Consumer) error { return io.EOF }
func (nowhere) Write(b []byte) (int, error) { return len(b), nil }
func (nowhere) CloseWrite() error           { return nil }
