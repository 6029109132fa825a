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

// RenewAt is when a certificate is to be renewed: after two thirds of its life
// and up to a twelfth of it more, by jitter from 0 to 1. So not all machines ask
// at once, those that share a folder included: the first one does it for all.
func RenewAt(cert tls.Certificate, jitter float64) time.Time {
	life := cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)
	return cert.Leaf.NotBefore.Add(life*2/3 + time.Duration(jitter*float64(life/12)))
}

// RetryIn is how long to wait after so many failures in a row: as retry says, and
// at least as long as the CA has asked for. But a CA that names a day in ten years gets
// no more than half of what is left of the certificate that we have, or 6 hours when it
// has ended or there is none. Asked is that time, zero if the CA has named none.
func RetryIn(failures int, jitter float64, err error, left time.Duration) (wait, asked time.Duration) {
	wait = retry.Spread(failures, jitter)
	if e, ok := errors.AsType[*Error](err); ok && e.RetryAfter > 0 {
		most := retry.Most
		if left > 0 {
			most = left / 2
		}
		asked = min(e.RetryAfter, most)
		// Not below it, and not all at the very same time.
		wait = max(wait, asked+time.Duration(jitter*float64(retry.First)))
	}
	return wait, asked
}

// look takes the certificate that is in the file, and orders a new one if it is
// due.
func (s *Source) look(ctx context.Context, log *slog.Logger) {
	s.pickUp(log)
	if cert := s.current.Load(); cert != nil && !s.due(*cert) {
		s.rest(*cert)
		return
	}
	if !s.now().Before(s.nextAttempt()) {
		s.renew(ctx, log)
	}
}

// nextLook is how long to wait for the next look.
func (s *Source) nextLook() time.Duration {
	return min(lookEvery, max(0, s.nextAttempt().Sub(s.now())))
}

func (s *Source) due(cert tls.Certificate) bool {
	return !s.now().Before(RenewAt(cert, s.jitter))
}

// noteFailure says how long to wait for the next attempt.
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

// rest notes that all is well until cert is due.
func (s *Source) rest(cert tls.Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures, s.failure, s.code, s.notBefore = 0, "", "", time.Time{}
	s.next = RenewAt(cert, s.jitter)
}

// mayTry allows an attempt now after one that failed, or as early as the CA wants.
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
		return time.Time{} // at once: there is none yet, or the clock was ahead at the failure
	}
	return s.next
}
