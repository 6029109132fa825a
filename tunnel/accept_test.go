package tunnel

import (
	"context"
	"errors"
	"net"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"
)

// failingListener fails to accept a number of times, then accepts as its Listener does.
type failingListener struct {
	net.Listener

	mu    sync.Mutex // guards what follows
	fail  int
	tried []time.Time
}

func (l *failingListener) Accept() (net.Conn, error) {
	l.mu.Lock()
	l.tried = append(l.tried, time.Now())
	fail := l.fail > 0
	l.fail--
	l.mu.Unlock()
	if fail {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.Listener.Accept()
}

// Ten failures: 5 ms, doubled each time, up to 1 s. Three seconds in all.
func testAcceptBacksOff(t *testing.T) {
	const failures = 10
	target := listen(t)
	l := &failingListener{Listener: listen(t), fail: failures}
	r := startOn(t, l, toTargets(target.Addr().String()))
	peer := mustDial(t, r.addr)
	accepted, err := target.Accept()
	check(t, err)
	back := newEnd(accepted)
	defer back.tcp.Close()
	check(t, exchange(peer, back))

	l.mu.Lock()
	tried := l.tried
	l.mu.Unlock()
	want := 5 * time.Millisecond
	for i := range failures {
		if waited := tried[i+1].Sub(tried[i]); waited < want {
			t.Errorf("attempt %d came after %v, want %v", i+2, waited, want)
		}
		want = min(2*want, time.Second)
	}

	records, skipped := r.logs.all(), int64(0)
	for i, rec := range records {
		if rec.message != "accept failed" || rec.text("err") == "" || rec.text("tunnel") != "" && i > 0 && rec.text("retry_in") == "" {
			t.Error(rec)
		}
		if i > 0 && rec.time.Sub(records[i-1].time) < 900*time.Millisecond {
			t.Errorf("logged more than once a second: %v", records)
		}
		skipped += rec.attrs["skipped"].Int64()
	}
	if n := int64(len(records)) + skipped; n < failures-1 || n > failures || len(records) < 2 {
		t.Errorf("%d records and %d skipped, for %d failures", len(records), skipped, failures)
	}
}

func TestShutdownEndsAcceptBackoff(t *testing.T) {
	leakCheck(t)
	atOnce(t, "Shutdown", func() time.Duration {
		l := &failingListener{Listener: listen(t), fail: 1 << 30}
		r := startOn(t, l, toTargets(closedPort(t)))
		r.logs.wait(t, 1)
		began := time.Now()
		check(t, r.Shutdown(context.Background()))
		return time.Since(began)
	})
}

func TestServeWhenSomebodyElseClosesTheListener(t *testing.T) {
	leakCheck(t)
	s, _ := complete(toTargets(closedPort(t)))
	tun, l := New(s), listen(t)
	served := make(chan error, 1)
	go func() { served <- tun.Serve(l) }()
	l.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	check(t, tun.Shutdown(context.Background()))
}
