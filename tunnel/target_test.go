package tunnel

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

func toTargets(addresses ...string) (s Settings) {
	for _, a := range addresses {
		s.Targets = append(s.Targets, Target{Address: a})
	}
	return s
}

const (
	reasonRefused   = "nothing listens at the target, or a firewall rejects: is its service running, and is the port right?"
	reasonNoAnswer  = "the target didn't answer within connect_timeout: is it on, and does a firewall drop the packets?"
	reasonNoAddress = "the target's host name can't be resolved: check its spelling and this machine's DNS"
)

// wantReset reads until the connection ends and wants that to be an error.
func wantReset(t testing.TB, e *end) {
	t.Helper()
	if err := receiveReset(e); err != nil {
		t.Error(err)
	}
}

func receiveReset(e *end) error {
	n, err := e.Read(make([]byte, 1))
	if n > 0 || err == io.EOF || errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("got %d bytes and %v, want a reset", n, err)
	}
	return nil
}

// dialInVain connects to a tunnel that resets the connection soon, perhaps before connect has
// returned. It sends a little first, as most programs do.
func dialInVain(t testing.TB, addr string) {
	t.Helper()
	peer, err := dial(addr)
	if err == nil {
		defer peer.tcp.Close()
		if err = send(peer, 100); err == nil {
			err = receiveReset(peer)
		}
	}
	if err != nil && !errors.Is(err, errReset) && !errors.Is(err, errPipe) {
		t.Error(err)
	}
}

func TestTargetFails(t *testing.T) {
	tests := []struct {
		name, address, reason string
	}{
		{"closed port", closedPort(t), reasonRefused},
		{"no answer", unresponsivePort(t), reasonNoAnswer},
		// Without a network the resolver doesn't answer. The reason is about the name then,
		// too.
		{"no such name", "pacs.clinic.invalid:104", reasonNoAddress},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.address == "" {
				t.Skip("not to be had on this system")
			}
			leakCheck(t)
			s := toTargets(test.address)
			s.ConnectTimeout = 200 * time.Millisecond
			r := start(t, s)
			began := time.Now()
			dialInVain(t, r.addr)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %v", took)
			}
			rec := r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTarget, test.reason)
			if rec.text("target") != test.address || rec.text("err") == "" {
				t.Error(rec)
			}
			if got, want := r.Stats(), (Stats{TargetFailed: 1}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestTargetAppearsLater(t *testing.T) {
	leakCheck(t)
	address := closedPort(t)
	r := start(t, toTargets(address))
	dialInVain(t, r.addr)
	r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTarget, reasonRefused)

	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Skip("another program took the port:", err)
	}
	defer l.Close()
	peer := mustDial(t, r.addr)
	accepted, err := l.Accept()
	check(t, err)
	target := newEnd(accepted)
	defer target.tcp.Close()
	check(t, exchange(peer, target))
}

func TestTargetsInOrder(t *testing.T) {
	leakCheck(t)
	down, up := closedPort(t), listen(t)
	r := start(t, toTargets(down, up.Addr().String(), closedPort(t)))
	peer := mustDial(t, r.addr)
	accepted, err := up.Accept()
	check(t, err)
	target := newEnd(accepted)
	defer target.tcp.Close()
	check(t, exchange(peer, target))
	check(t, peer.CloseWrite(), receiveEnd(target), target.CloseWrite(), receiveEnd(peer))
	rec := r.logs.expect(t, 0, slog.LevelInfo, "connection closed", byPeer, "end of stream")
	if rec.text("target") != up.Addr().String() || rec.text("failed") != "["+down+": "+reasonRefused+"]" {
		t.Error(rec)
	}
}

func TestAllTargetsFail(t *testing.T) {
	leakCheck(t)
	first, last := closedPort(t), closedPort(t)
	r := start(t, toTargets(first, last))
	dialInVain(t, r.addr)
	rec := r.logs.expect(t, 0, slog.LevelWarn, "target failed", byTarget, reasonRefused)
	if failed := rec.text("failed"); rec.text("target") != last || !strings.Contains(failed, first) || !strings.Contains(failed, last) {
		t.Error(rec)
	}
}
