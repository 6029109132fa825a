package service

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"syscall"
	"time"

	"tlstunnel/internal/backoff"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

const (
	// certCheckInterval is short because timers run on the monotonic clock: a timer for the
	// day itself would miss a clock that was set and a machine that has slept.
	certCheckInterval = 10 * time.Minute
)

// renewalBackoff is the wait after failed renewals.
var renewalBackoff = backoff.Doubling{First: time.Minute, Most: 6 * time.Hour}

// pkiLockTimeout is how long a check waits for a command that holds the lock of the PKI. A
// suspended command holds it for ever. The timeout is shorter than the watchdog's time.
var pkiLockTimeout = 10 * time.Second

// RenewalStatus is the status of the renewal of our own server certificate.
type RenewalStatus struct {
	Due   time.Time `json:"due,omitzero"`    // zero if no renewal is due before the CA ends
	Error string    `json:"error,omitempty"` // why the last attempt failed
	Retry time.Time `json:"retry,omitzero"`  // after a failure
}

// checkCertificates renews our own server certificate if it is due, and warns
// of certificates that end soon. supervise calls it after each nextCertCheck.
func (s *Service) checkCertificates(ctx context.Context, now time.Time) {
	seen := s.current.Load()
	patience, cancel := context.WithTimeout(ctx, pkiLockTimeout)
	defer cancel()
	if compile.NeedsPKI(seen.cfg) && !now.Before(seen.renewal.Retry) {
		renewed, due, err := renewIfDue(patience, compile.PKI(seen.cfg), now)
		if renewed != "" {
			s.log.Info(msgRenewed, "reason", renewed, "due", due.Local())
			err = s.refresh(ctx, "certificate renewed")
		}
		if ctx.Err() != nil {
			return // the service stops
		}
		s.noteRenewal(due, err, now)
	}
	s.refreshCRL(ctx, now)
	s.warnOfExpiry(now)
}

// refreshCRL signs a new CRL of our own CA before the old one ends. It also signs one if the
// index has a revocation that the CRL lacks, for example because the disk was full. It logs
// only a failure: our tunnels accept our CRL at any age, and read the index too.
func (s *Service) refreshCRL(ctx context.Context, now time.Time) {
	cfg := s.current.Load().cfg
	if !compile.NeedsPKI(cfg) {
		return
	}
	dir := cfg.PKI.Dir
	patience, cancel := context.WithTimeout(ctx, pkiLockTimeout)
	defer cancel()
	_, err := pki.RefreshCRL(patience, dir, now)
	if ctx.Err() != nil {
		return // the service stops
	}
	failure := ""
	if err != nil {
		failure = fmt.Sprintf("the CRL of our own CA isn't up to date, so other programs may accept a revoked certificate: %s%s", err, unwritable(err, dir))
		s.log.Error(msgCRLFailed, "err", failure, "retry", certCheckInterval)
	}
	s.update(func(now *snapshot) { now.crlError = failure })
}

// renewIfDue returns the reason of the renewal, "" if there was none, and the time of the next.
func renewIfDue(ctx context.Context, settings pki.Settings, now time.Time) (renewed string, due time.Time, err error) {
	due, reason, err := pki.NextRenewal(ctx, settings, now)
	if err != nil || due.IsZero() || due.After(now) {
		return "", due, err
	}
	renewed, err = pki.Renew(ctx, settings, now, pki.RenewOptions{})
	if err != nil {
		return "", due, fmt.Errorf("the server certificate should be renewed, because %s: %w%s", reason, err, unwritable(err, settings.Dir))
	}
	due, _, err = pki.NextRenewal(ctx, settings, now)
	return renewed, due, err
}

// unwritable says what to do if the service may not write to the folder.
func unwritable(err error, dir string) string {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Sprintf("; let the account of the service write to %q, or run `tlstunnel cert renew` as an administrator", dir)
	}
	return ""
}

// noteRenewal logs a failure, and keeps the result for the status.
func (s *Service) noteRenewal(due time.Time, err error, now time.Time) {
	status := RenewalStatus{Due: due}
	if err == nil {
		s.renewalFailures = 0
	} else {
		s.renewalFailures++
		wait := renewalBackoff.Spread(s.renewalFailures, rand.Float64())
		status.Error, status.Retry = err.Error(), now.Add(wait)
		s.log.Error(msgRenewalFailed, "err", err, "retry", wait)
	}
	s.update(func(now *snapshot) { now.renewal = status })
}

// retryRenewalNow ends the wait after failures: the clock was set, and a wrong clock may have
// caused the last failure.
func (s *Service) retryRenewalNow() {
	s.renewalFailures = 0
	s.update(func(now *snapshot) { now.renewal.Retry = time.Time{} })
}

// nextCertCheck returns how long to wait before the next [Service.checkCertificates].
func (s *Service) nextCertCheck(now time.Time) time.Duration {
	renewal, wait := s.current.Load().renewal, certCheckInterval
	for _, at := range []time.Time{renewal.Due, renewal.Retry} {
		if left := at.Sub(now); left > 0 && left < wait {
			wait = left
		}
	}
	return max(wait, time.Second) // supervise never spins
}

// expiryMarks are the days before the end of a certificate at which the service warns.
var expiryMarks = []int{1, 3, 7, 14, 30}

// expiryMark returns the last of the marks that cert has passed, 0 if none.
func expiryMark(cert *x509.Certificate, marks []int, now time.Time) int {
	for _, days := range marks {
		if cert.NotAfter.Sub(now) < time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return 0
}

// warnOfExpiry warns once at each of the expiryMarks, even if nothing else changes.
func (s *Service) warnOfExpiry(now time.Time) {
	if !s.lockUnlessStopping() {
		return
	}
	defer s.changing.Unlock()
	if !s.noteExpiryMarks(now) {
		return
	}
	store, _ := pki.Open(s.cfg.PKI.Dir, now) // nil if it can't be opened, which was logged before
	tunnels, _ := compile.Tunnels(s.cfg, store, now)
	for _, t := range tunnels {
		logWarnings(s.log, msgExpiry, t.Expiring)
	}
	if store == nil {
		return
	}
	if text := compile.CAExpiryWarning(store, now); text != "" {
		s.log.Warn(msgExpiry, "warning", text)
	}
}

// caExpiryMarks are the days before the end of our own CA at which the service warns.
var caExpiryMarks = []int{1, 3, 7, 14, 30, 90, 180, 365}

// noteExpiryMarks reports whether a certificate in use has passed one of its marks since the
// last call.
func (s *Service) noteExpiryMarks(now time.Time) (passed bool) {
	marks := map[string]int{}
	pass := func(cert *x509.Certificate, days []int) {
		id := dn.Fingerprint(cert)
		marks[id] = expiryMark(cert, days, now)
		passed = passed || marks[id] != 0 && marks[id] != s.warned[id]
	}
	store, _ := pki.Open(s.cfg.PKI.Dir, now) // nil if it can't be opened
	if store != nil && compile.NeedsPKI(s.cfg) {
		pass(store.CA, caExpiryMarks)
	}
	s.noteCA(store)
	for _, t := range s.tunnels {
		for _, cert := range t.Certs {
			pass(cert, expiryMarks)
		}
	}
	s.warned = marks
	return passed
}
