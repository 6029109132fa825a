package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"tlstunnel/internal/testkit"
)

// calendar is a CA and the clock of a machine. The clock goes only while the machine waits.
type calendar struct {
	*Source
	t     *testing.T
	now   time.Time
	skew  time.Duration                   // how far its clock is before ours
	fails func(at time.Time, n int) error // the n-th attempt, from 1 on
	asked []time.Time
	log   *testkit.Log
}

// certLife is short, because the machine looks once a minute.
const certLife = 3 * time.Hour

func newCalendar(t *testing.T, jitter float64) *calendar {
	c := &calendar{t: t, now: time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), log: new(testkit.Log),
		fails: func(time.Time, int) error { return nil }}
	c.Source = &Source{
		Settings: Settings{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: []string{"pacs.clinic.example"}},
		jitter:   jitter, now: func() time.Time { return c.now }, order: c.issue,
	}
	testkit.Check(t, os.MkdirAll(filepath.Dir(c.CertFile()), 0o700))
	return c
}

// issue is [Settings.Renew].
func (c *calendar) issue(context.Context, func() time.Time, func(tls.Certificate) bool, HTTPAnswerer) (tls.Certificate, error) {
	c.asked = append(c.asked, c.now)
	if err := c.fails(c.now, len(c.asked)); err != nil {
		return tls.Certificate{}, err
	}
	c.put()
	return c.Load(c.now)
}

// put makes the file that an order makes, on this machine or on another.
func (c *calendar) put() {
	c.t.Helper()
	begin := c.now.Add(c.skew)
	cert := testkit.Sign(&x509.Certificate{NotBefore: begin, NotAfter: begin.Add(certLife), DNSNames: c.Domains}, testkit.NewKey(), nil)
	testkit.WriteFile(c.t, c.CertFile(), append(cert.KeyPEM(), cert.PEM()...))
}

// pass lets so much time pass.
func (c *calendar) pass(d time.Duration) {
	c.t.Helper()
	log := slog.New(slog.NewTextHandler(c.log, nil))
	for end := c.now.Add(d); !c.now.After(end); {
		c.look(c.t.Context(), log)
		wait := c.nextLook()
		if wait <= 0 || wait > lookEvery {
			c.t.Fatalf("at %v: looks again in %v", c.now, wait)
		}
		c.now = c.now.Add(wait)
	}
}

// waits are the times between the attempts.
func (c *calendar) waits() (waits []time.Duration) {
	for i := range c.asked[1:] {
		waits = append(waits, c.asked[i+1].Sub(c.asked[i]))
	}
	return waits
}

// TestACMERenewals: each certificate is renewed at the time that its jitter says, as long as
// the service runs.
func TestACMERenewals(t *testing.T) {
	for _, tt := range []struct {
		jitter float64
		skew   time.Duration
		want   time.Duration
	}{
		{0, 0, 120 * time.Minute},
		{0.5, 0, 127*time.Minute + 30*time.Second},
		{1, 0, 135 * time.Minute},
		{0, -time.Hour, 60 * time.Minute},        // dated back, as CAs do
		{0, 50 * time.Minute, 170 * time.Minute}, // the CA's clock is ahead, which is no reason to ask again
	} {
		c := newCalendar(t, tt.jitter)
		c.skew = tt.skew
		c.pass(3 * tt.want)
		if got := c.waits(); !slices.Equal(got, []time.Duration{tt.want, tt.want, tt.want}) {
			t.Errorf("%+v: got waits of %v", tt, got)
		}
	}
}

// TestACMERetries: the waits between failures in a row grow, and are never shorter than the
// CA wants. A success ends the row.
func TestACMERetries(t *testing.T) {
	down := errors.New("connection refused")
	later := func(d time.Duration) error { return &Error{Text: "too many", RetryAfter: d} }
	for _, tt := range []struct {
		name string
		errs []error
		row  []int // of failures, at each wait; 0: a renewal
	}{
		{"the CA is down", []error{down, down, down, down}, []int{1, 2, 3, 4, 0, 0}},
		{"down at a renewal", []error{nil, down, down, nil, down}, []int{0, 1, 2, 0, 1}},
		{"too many requests", []error{later(4 * time.Hour), later(time.Second), down}, []int{1, 2, 3}},
	} {
		c := newCalendar(t, 0)
		c.fails = func(_ time.Time, n int) error {
			if n <= len(tt.errs) {
				return tt.errs[n-1]
			}
			return nil
		}
		c.pass(6 * time.Hour)
		got := c.waits()
		if len(got) < len(tt.row) {
			t.Fatalf("%s: got only the waits %v", tt.name, got)
		}
		for i, failures := range tt.row {
			least, most := 2*time.Hour-time.Second, 2*time.Hour // a certificate has whole seconds
			if failures > 0 {
				least, _ = RetryIn(failures, 0, tt.errs[i], 0)
				most, _ = RetryIn(failures, 1, tt.errs[i], 0)
			}
			if got[i] < least || got[i] > most {
				t.Errorf("%s: wait %d: got %v, want %v to %v", tt.name, i+1, got[i], least, most)
			}
		}
	}
}

// TestACMEReload: after a failure, a reload asks at once, or as early as the CA allows. If
// all is well, it doesn't ask.
func TestACMEReload(t *testing.T) {
	for _, tt := range []struct {
		err       error
		notBefore time.Duration
		next      time.Duration // after the reload
	}{
		{nil, 0, 2 * time.Hour},
		{errors.New("connection refused"), 0, 0},
		{&Error{Text: "too many", RetryAfter: 2 * time.Hour}, 2 * time.Hour, 2 * time.Hour},
		{&Error{Text: "too many", RetryAfter: time.Second}, time.Second, time.Second},
	} {
		c := newCalendar(t, 0)
		c.fails = func(time.Time, int) error { return tt.err }
		c.pass(0)
		first := c.asked[0]
		if got := c.Status().NotBefore; tt.notBefore == 0 && !got.IsZero() || tt.notBefore > 0 && !got.Equal(first.Add(tt.notBefore)) {
			t.Errorf("%v: not before %v", tt.err, got)
		}
		c.mayTry()
		if got := c.nextAttempt(); tt.next == 0 && !got.IsZero() || tt.next > 0 && !got.Equal(first.Add(tt.next)) {
			t.Errorf("%v: next at %v", tt.err, got)
		}
	}
}

// TestACMEOtherClock: a machine whose clock is wrong doesn't ask for one certificate after
// the other. If the clock jumps, the machine notices by itself.
func TestACMEOtherClock(t *testing.T) {
	c := newCalendar(t, 0)
	c.skew = -150 * time.Minute // our clock is ahead, so a new certificate is due already
	c.pass(time.Hour)
	if got := len(c.asked); got > 7 {
		t.Errorf("asked %d times in an hour", got)
	}
	c.log.Await(t, "is due for renewal already: check the clock of this machine")

	c = newCalendar(t, 0)
	c.pass(time.Hour)
	c.now = c.now.Add(4 * time.Hour) // the machine has slept, and the certificate has ended
	c.pass(lookEvery)
	if len(c.asked) != 2 {
		t.Errorf("asked %d times, want a second time after the sleep", len(c.asked))
	}
	c.now = c.now.Add(-time.Hour) // set back by less than the clocks may differ
	c.pass(lookEvery)
	if len(c.asked) != 2 {
		t.Errorf("asked %d times, want none for a clock set back a little", len(c.asked))
	}
}

// TestACMEOther: within a minute, a machine uses what another has ordered, and doesn't order
// it again.
func TestACMEOther(t *testing.T) {
	c := newCalendar(t, 1)
	c.pass(130 * time.Minute)
	first := c.Certificate().Leaf
	c.put()
	c.pass(lookEvery)
	if second := c.Certificate().Leaf; second.Equal(first) {
		t.Error("the new certificate isn't shown")
	}
	c.pass(2 * time.Hour)
	if len(c.asked) != 1 {
		t.Errorf("asked %d times", len(c.asked))
	}
}

// TestACMEAskedForYears: a CA wants no request for ten years. It is asked again before the
// certificate ends, or every 6 hours if there is none. A reload doesn't wait for it either.
func TestACMEAskedForYears(t *testing.T) {
	c := newCalendar(t, 0)
	c.fails = func(at time.Time, n int) error {
		if n == 1 {
			return nil
		}
		return &Error{Text: "too many", RetryAfter: 10 * 365 * 24 * time.Hour}
	}
	c.pass(30 * time.Hour)
	end := c.Certificate().Leaf.NotAfter
	before, after := 0, 0
	for i, at := range c.asked[1:] {
		if at.Before(end) {
			before++
		} else {
			after++
		}
		if wait := at.Sub(c.asked[i]); wait > 6*time.Hour+time.Minute {
			t.Errorf("waited %v", wait)
		}
	}
	if before < 2 || after < 3 || before+after > 30 {
		t.Errorf("asked %d times before the end, %d times after it", before, after)
	}
	if st := c.Status(); st.NotBefore.Sub(c.now) > 6*time.Hour {
		t.Errorf("not before %v, at %v", st.NotBefore, c.now)
	}
}

// TestACMEClockWasAhead: a failure while the clock was ahead doesn't put off the next
// attempt until then.
func TestACMEClockWasAhead(t *testing.T) {
	c := newCalendar(t, 0)
	c.now = c.now.Add(2 * 365 * 24 * time.Hour)
	c.fails = func(time.Time, int) error { return errors.New("set the clock") }
	c.pass(time.Hour)
	n := len(c.asked)
	c.now = c.now.Add(-2 * 365 * 24 * time.Hour)
	c.pass(lookEvery)
	if len(c.asked) == n {
		t.Error("not asked again")
	}
}

// TestACMENobodyAsked: if no CA has been asked to check a name, a stranger gets no
// certificate of a challenge for it.
func TestACMENobodyAsked(t *testing.T) {
	a := NewSource(Settings{Dir: t.TempDir(), Directory: "https://ca.example/dir", Domains: []string{"pacs.clinic.example"}}, nil)
	for _, name := range []string{"pacs.clinic.example", "other.example", "../x"} {
		_, err := a.GetConfigForClient(&tls.ClientHelloInfo{SupportedProtos: []string{"acme-tls/1"}, ServerName: name})
		if want := "no CA has been asked to check the name " + strconv.Quote(name); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}
