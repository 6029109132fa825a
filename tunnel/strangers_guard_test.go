//go:build guard && linux

package tunnel

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var use syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &use); err != nil {
		panic(err)
	}
	return time.Duration(use.Utime.Nano() + use.Stime.Nano())
}

// TestGuardCostOfStrangers: a chain that is made to cost much costs no more than a few usual
// handshakes. The cost is that of both ends together.
func TestGuardCostOfStrangers(t *testing.T) {
	p := newPath(t, "server", requireClientCert)
	p.echo(t)
	cost := func(config *tls.Config) time.Duration {
		const n = 20
		before := cpuTime()
		for range n {
			peer := mustDial(t, p.tunnels[0].addr)
			_ = peer.secure(tls.Client, config)
			_, _ = peer.Read(make([]byte, 1)) // the alert
			peer.tcp.Close()
		}
		return (cpuTime() - before) / n
	}
	other := testkit.NewCA("Strangers' CA").Issue("stranger").TLS()
	cost(withCert(other))
	usual := cost(withCert(other))
	t.Logf("a usual chain of an unknown CA: %v", usual)
	all := floods()
	all["the slowest that is verified"] = slowestChain()
	for what, flood := range all {
		took := cost(withCert(flood))
		t.Logf("%s: %v", what, took)
		if took > 10*usual {
			t.Errorf("%s: %v, and %v for a usual chain", what, took, usual)
		}
	}
}

// slowestChain uses up all the signature checks that a peer may cause: three CAs with P-521
// keys, each of which has issued the one before.
func slowestChain() tls.Certificate {
	p521 := func() crypto.Signer {
		key, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
		if err != nil {
			panic(err)
		}
		return key
	}
	leafKey, keys := testkit.NewKey(), []crypto.Signer{p521(), p521(), p521()}
	return tls.Certificate{PrivateKey: leafKey, Certificate: [][]byte{
		certificate("leaf", "CA 0", keys[0], leafKey, nil),
		certificate("CA 0", "CA 1", keys[1], keys[0], nil),
		certificate("CA 1", "CA 2", keys[2], keys[1], nil),
		certificate("CA 2", "CA 3", keys[2], keys[2], nil),
	}}
}

// TestGuardLatencyBesideStrangers: if one address sends hellos and then nothing, the peer of
// another address doesn't wait.
func TestGuardLatencyBesideStrangers(t *testing.T) {
	p := newPath(t, "server", nil)
	p.echo(t)
	hello := clientHello(clientTLS())
	latency := func() (median, most time.Duration) {
		var all []time.Duration
		for range 50 {
			peer := mustDialFrom(t, "127.0.0.2", p.tunnels[0].addr)
			began := time.Now()
			check(t, peer.secure(tls.Client, clientTLS()))
			all = append(all, time.Since(began))
			peer.tcp.Close()
		}
		slices.Sort(all)
		return all[len(all)/2], all[len(all)-1]
	}
	latency()
	alone, most := latency()
	t.Logf("alone: median %v, most %v", alone, most)
	silent := 0
	for _, n := range []int{1024, 5000} {
		for ; silent < n; silent++ {
			if peer, err := dial(p.tunnels[0].addr); err == nil { // or it is refused
				t.Cleanup(func() { peer.tcp.Close() })
				_, _ = peer.Write(hello)
			}
		}
		median, most := latency()
		t.Logf("beside %d: median %v, most %v", n, median, most)
		if median > 20*alone {
			t.Errorf("beside %d silent hellos, a handshake takes %v; alone, it is %v", n, median, alone)
		}
	}
}

// TestGuardFloodOfAddresses: a lasting flood of hellos from thousands of addresses doesn't
// keep out a peer that was here before.
func TestGuardFloodOfAddresses(t *testing.T) {
	p := newPath(t, "server", nil)
	p.echo(t)
	r, hello := p.tunnels[0], clientHello(clientTLS())
	var all []time.Duration
	failed := 0
	visit := func() {
		began := time.Now()
		peer, err := dialFrom("127.0.0.2", r.addr)
		if err == nil {
			defer peer.tcp.Close()
			err = peer.secure(tls.Client, clientTLS())
		}
		if err != nil {
			failed++
		}
		all = append(all, time.Since(began))
	}
	if visit(); failed > 0 {
		t.Skip("not every system has all of 127.0.0.0/8")
	}
	ctx, stop := context.WithCancel(t.Context())
	var flood sync.WaitGroup
	var sent atomic.Int64
	for i := range 4 {
		flood.Go(func() {
			var open []*end
			for ctx.Err() == nil {
				n := sent.Add(1)
				if peer, err := dialFrom(fmt.Sprintf("127.%d.%d.%d", 1+i, byte(n>>8), byte(n)), r.addr); err == nil {
					_, _ = peer.Write(hello)
					open = append(open, peer)
				}
				if len(open) > 1000 {
					open[0].reset()
					open = open[1:]
				}
			}
			for _, peer := range open {
				peer.reset()
			}
		})
	}
	eventually(t, "all places are taken", func() bool { return r.Stats().HandshakeFailed > 0 })
	all, failed = nil, 0
	before, began := sent.Load(), time.Now()
	for range 30 {
		visit()
	}
	rate := float64(sent.Load()-before) / time.Since(began).Seconds()
	stop()
	flood.Wait()
	slices.Sort(all)
	t.Logf("%.0f hellos a second: median %v, most %v, %d of %d failed", rate, all[len(all)/2], all[len(all)-1], failed, len(all))
	if failed > 0 {
		t.Errorf("%d of %d peers were kept out", failed, len(all))
	}
}

// TestGuardMemoryOfStrangers: what peers send before the end of their handshake stays in the
// kernel, except for one record.
func TestGuardMemoryOfStrangers(t *testing.T) {
	hello := clientHello(clientTLS())
	long := paddedHello(40_000)
	for _, test := range []struct {
		what  string
		sends []byte
		most  uint64 // KiB
		crowd bool   // while others have sent a hello and are silent
	}{
		{"silent", nil, 24, false},
		{"a hello", hello, 48, false},
		{"a hello, and 190 KB behind it", append(hello[:len(hello):len(hello)], make([]byte, 190_000)...), 48, true},
		{"a hello, and a record of 16 KB that doesn't end", append(append(hello[:len(hello):len(hello)], 22, 3, 3, 0x40, 0), make([]byte, 16_000)...), 72, false},
		{"a hello of 40 KB that doesn't end", long[:len(long)-1], 128, false},
		{"a hello of 40 KB", long, 128, false},
		{"a hello with 19,000 protocols", helloWith(append([]byte{0, 16, 0x94, 0x72, 0x94, 0x70}, bytes.Repeat([]byte{1, 'a'}, 19_000)...), 0), 24, false},
	} {
		t.Run(test.what, func(t *testing.T) {
			p := newPath(t, "server", nil)
			r := p.tunnels[0]
			const n = 1000
			if test.crowd {
				for range 1024 {
					_, err := mustDial(t, r.addr).Write(hello)
					check(t, err)
				}
				eventually(t, "the others are there", func() bool { return r.Stats().Active == 1024 })
				time.Sleep(time.Second)
			}
			before := inUse()
			for range n {
				_, err := mustDial(t, r.addr).Write(test.sends)
				check(t, err)
			}
			time.Sleep(2 * time.Second) // for what can't be seen from outside
			each := (max(inUse(), before) - before) / n >> 10
			t.Logf("%d KiB each; %d are there, %d have failed", each, r.Stats().Active, r.Stats().HandshakeFailed)
			if each > test.most {
				t.Errorf("%d KiB each, want at most %d", each, test.most)
			}
		})
	}
}

// TestGuardMemoryOfLingering: a flood of rejected peers that stay costs only sockets and
// small stacks.
func TestGuardMemoryOfLingering(t *testing.T) {
	p := newPath(t, "server", nil)
	r := p.tunnels[0]
	bad := append(clientHello(clientTLS()), 22, 3, 3, 0, 4, 99, 0, 0, 0) // there is no such message
	reject := func(n int) {
		failed := r.Stats().HandshakeFailed
		for range n {
			_, err := mustDial(t, r.addr).Write(bad)
			check(t, err)
		}
		eventually(t, "all are rejected", func() bool { return r.Stats().HandshakeFailed == failed+int64(n) })
	}
	const n = 1000
	reject(n)
	during, lingering := inUse(), len(r.rejected.places)
	eventually(t, "nobody lingers", func() bool { return len(r.rejected.places) == 0 })
	after := inUse()
	all := max(during, after) - after
	t.Logf("%d KiB for the %d of %d that linger", all>>10, lingering, n)
	if all > maxLingering*32<<10 {
		t.Errorf("%d KiB", all>>10)
	}
}

// inUse is the memory of heap and stacks.
func inUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapInuse + m.StackInuse
}
