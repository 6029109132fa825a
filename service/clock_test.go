package service

import (
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"tlstunnel/internal/ownpki"
	"tlstunnel/pki"
	"tlstunnel/pki/acme"
	"tlstunnel/service/compile"
)

const twoYears = 2 * 365 * 24 * time.Hour

// renewAhead renews the server certificate of the PKI in cfg with a clock that is two years
// ahead.
func renewAhead(t *testing.T, s pki.Settings) {
	t.Helper()
	_, err := pki.Renew(t.Context(), s, time.Now().Add(twoYears), pki.RenewOptions{Force: true})
	check(t, err)
}

const ahead = ": the clock was ahead when it was made"

// accepted is a client that verifies.
func (s *subject) accepted(want bool) {
	s.t.Helper()
	c, err := s.tryDial("pacs", s.tlsConfig())
	if err == nil {
		c.Close()
	}
	if (err == nil) != want {
		s.t.Errorf("accepted: %v", err)
	}
}

// TestClockWasAhead: our own certificate begins in the future, and CA and clock are right.
// The service mends that by itself, at a start, while it runs, and at a reload.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	text := serverTunnel("pacs", "127.0.0.1:0", greeter(t, "one"), "")
	s := startService(t, text, func(dir string) {
		cfg := load(t, text)
		cfg.PKI.Dir = filepath.Join(dir, "pki")
		_, _, err := ownpki.Make(t.Context(), cfg)
		check(t, err)
		renewAhead(t, compile.PKI(cfg))
	})
	s.accepted(true)

	renewAhead(t, compile.PKI(s.cfg))
	check(t, s.refresh(t.Context(), "test"))
	s.log.Await(t, "peers refuse it until then, unless it is this machine's clock that is wrong; a running service renews it by itself, and so does `tlstunnel cert renew`")
	s.accepted(false)
	if err := compile.Check(s.cfg, time.Now()).Err(); err != nil {
		t.Errorf("check: %v", err)
	}
	s.reload(text) // isn't refused
	s.checkCertificates(t.Context(), time.Now())
	s.log.Await(t, ahead)
	s.accepted(true)
}

// TestClockJumps: the clock is put right while the service runs. The service notices that
// before its next look is due, and after a failure too. A reload asks for a look as well.
func TestClockJumps(t *testing.T) {
	t.Parallel()
	s := startService(t, serverTunnel("pacs", "127.0.0.1:0", greeter(t, "one"), ""))
	var offset atomic.Int64
	s.clockOffset = func() time.Duration { return time.Duration(offset.Load()) }
	s.noteRenewal(time.Time{}, acme.ErrNone, time.Now().Add(twoYears))
	renewAhead(t, compile.PKI(s.cfg))
	check(t, s.refresh(t.Context(), "test"))
	s.supervised()
	s.accepted(false)
	offset.Store(-int64(twoYears))
	const applied = `msg="files read anew" cause="certificate renewed"`
	s.log.AwaitCount(t, applied, 1)
	s.accepted(true)

	renewAhead(t, compile.PKI(s.cfg))
	_, err := s.reloadLogged(t.Context(), "test")
	check(t, err)
	s.log.AwaitCount(t, applied, 2)
	s.accepted(true)
}

func TestClockWatch(t *testing.T) {
	var offset time.Duration
	c := newClockWatch(func() time.Duration { return offset })
	for _, step := range []struct {
		by   time.Duration
		want bool
	}{{0, false}, {time.Second, false}, {time.Hour, true}, {0, false}, {-twoYears, true}, {-time.Minute, false}, {61 * time.Second, true}} {
		offset += step.by
		if got := c.jumped(); got != step.want {
			t.Errorf("by %v: %v", step.by, got)
		}
	}
	if offset := clockOffset(); offset.Abs() > maxJump {
		t.Errorf("this clock has jumped by %v", offset)
	}
}

// TestClockIsBehind: if the clock isn't set yet, a start uses a sound PKI as it is.
func TestClockIsBehind(t *testing.T) {
	s := startService(t, serverTunnel("pacs", "127.0.0.1:0", greeter(t, "one"), requireOwn))
	behind := time.Now().Add(-twoYears)
	store, err := pki.Open(s.cfg.PKI.Dir, behind)
	check(t, err)
	tunnels, problems := compile.Tunnels(s.cfg, store, behind)
	if problems.Err() != nil || len(tunnels[0].Certs) != 1 || len(tunnels[0].Expiring) != 1 || len(store.Warnings) != 1 {
		t.Errorf("problems %v, warnings %q", problems, store.Warnings)
	}
	if err := compile.Check(s.cfg, behind).Err(); err != nil {
		t.Errorf("check: %v", err)
	}
}
