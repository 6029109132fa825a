//go:build guard

package tunnel

import (
	"crypto/tls"
	"testing"

	"tlstunnel/internal/testkit"
)

// The guard fails if the data path has become slower or costs more than it should. It
// compares with what the same run measures beside it, because a machine may be slow. It needs
// a machine to itself, and so isn't among the tests.

// TestGuardAllocations: moving bytes allocates nothing of ours.
func TestGuardAllocations(t *testing.T) {
	if n := testing.Benchmark(BenchmarkCopy).AllocsPerOp(); n > 0 {
		t.Errorf("a MiB through the copy loop allocates %d times, want never", n)
	}
	ours := testing.Benchmark(func(b *testing.B) { benchmarkPingPong(b, openTunnel) }).AllocsPerOp()
	bare := testing.Benchmark(func(b *testing.B) { benchmarkPingPong(b, openTLS) }).AllocsPerOp()
	if ours > bare {
		t.Errorf("a message there and back allocates %d times, and %d without a tunnel", ours, bare)
	}
}

// TestGuardThroughput compares with a plain relay, and TestGuardHandshakes with a server
// without a tunnel.
func TestGuardThroughput(t *testing.T) {
	for direction, least := range map[string]float64{"up": 0.5, "down": 0.5} {
		guard(t, direction, least,
			func(b *testing.B) { benchmarkTransfer(b, openTunnel, direction) },
			func(b *testing.B) { benchmarkTransfer(b, openPlainRelay, direction) })
	}
}

func TestGuardHandshakes(t *testing.T) {
	guard(t, "full handshakes", 0.5,
		func(b *testing.B) { benchmarkHandshake(b, tunnelTo, false) },
		func(b *testing.B) { benchmarkHandshake(b, echoOverTLS, false) })
}

// echoOverTLS is an echo without a tunnel.
func echoOverTLS(b testing.TB) (addr string) {
	return testkit.Serve(b, tls.NewListener(listen(b), serverTLS()), testkit.Echo)
}

// guard requires that ours is at least as fast as this share of the other. One good try of
// three is enough, because only noise makes a try bad.
func guard(t *testing.T, what string, least float64, ours, other func(*testing.B)) {
	best := 0.0
	for range 3 {
		best = max(best, float64(testing.Benchmark(other).NsPerOp())/float64(testing.Benchmark(ours).NsPerOp()))
	}
	t.Logf("%s: %.2f of what is possible without", what, best)
	if best < least {
		t.Errorf("%s: %.2f of what is possible without, want at least %.2f", what, best, least)
	}
}
