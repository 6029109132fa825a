package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"tlstunnel/internal/backoff"
)

// retry is for failures in a row. From one minute on it doubles, up to 6 hours.
var retry = backoff.Doubling{First: time.Minute, Most: 6 * time.Hour}

// RenewAt returns when to renew a certificate: after two thirds of its life and, by jitter from
// 0 to 1, up to a twelfth more. So machines don't all ask at once. Of those that share a
// folder, the first renews for all.
func RenewAt(cert tls.Certificate, jitter float64) time.Time {
	life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
	return cert.Leaf.NotBefore.Add(life*2/3 + time.Duration(jitter*float64(life/12)))
}

// RetryIn returns how long to wait after so many failures in a row: the wait of retry, or
// longer if the CA asked for it. A CA can't make us wait longer than half the remaining life of
// our certificate, or 6 hours without a valid one. asked is the time that the CA named, or
// zero.
func RetryIn(failures int, jitter float64, err error, left time.Duration) (wait, asked time.Duration) {
	wait = retry.Spread(failures, jitter)
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		most := retry.Most
		if left > 0 {
			most = left / 2
		}
		asked = min(e.RetryAfter, most)
		// A random wait on top keeps machines from asking at the same moment.
		wait = max(wait, asked+time.Duration(jitter*float64(retry.First)))
	}
	return wait, asked
}

// look loads the certificate from the file, and orders a new one if it is due.
func (s *Source) look(ctx context.Context, log *slog.Logger) {
	s.pickUp(log)
	if cert := s.current.Load(); cert != nil && !s.due(*cert) {
		s.noteSuccess(*cert)
		return
	}
	if !s.now().Before(s.nextAttempt()) {
		s.renew(ctx, log)
	}
}

// nextLook returns how long to wait before the next look.
func (s *Source) nextLook() time.Duration {
	return min(lookEvery, max(0, s.nextAttempt().Sub(s.now())))
}

func (s *Source) due(cert tls.Certificate) bool {
	return !s.now().Before(RenewAt(cert, s.jitter))
}

// noteFailure records a failure and returns how long to wait before the next attempt.
func (s *Source) noteFailure(err error) (in time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.failures++
	var left time.Duration
	if cert := s.current.Load(); cert != nil {
		left = cert.Leaf.NotAfter.Sub(now)
	}
	in, asked := RetryIn(s.failures, rand.Float64(), err, left)
	s.failure, s.code, s.failedAt, s.next, s.notBefore = err.Error(), codeOf(err), now, now.Add(in), time.Time{}
	if asked > 0 {
		s.notBefore = now.Add(asked)
	}
	return in
}

// noteSuccess clears the failures: the next attempt is when cert is due.
func (s *Source) noteSuccess(cert tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.failure, s.code, s.notBefore = 0, "", "", time.Time{}
	s.next = RenewAt(cert, s.jitter)
}

// mayTry ends the wait after a failure, or shortens it to the time that the CA demands.
func (s *Source) mayTry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures > 0 && s.notBefore.Before(s.next) {
		s.next = s.notBefore
	}
}

func (s *Source) nextAttempt() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failures == 0 && s.current.Load() == nil || s.failures > 0 && s.now().Before(s.failedAt) {
		return time.Time{} // at once: there was no failure, or the clock was ahead at its time
	}
	return s.next
}
