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
	// lookEvery is short for a clock that was set and a machine that has slept:
	// a timer for the day itself would miss both.
	lookEvery = 10 * time.Minute
)

// renewalRetry is for failures in a row.
var renewalRetry = backoff.Doubling{First: time.Minute, Most: 6 * time.Hour}

// lookPatience is how long a look may wait for a command that holds the PKI, as one
// that somebody has suspended does for ever. It is less than the watchdog's time.
var lookPatience = 10 * time.Second

// RenewalStatus is how the renewal of our own server certificate does.
type RenewalStatus struct {
	Due   time.Time `json:"due,omitzero"`    // zero if not before the CA ends
	Error string    `json:"error,omitempty"` // why the last attempt failed
	Retry time.Time `json:"retry,omitzero"`  // after a failure
}

// lookAfterCertificates renews our own server certificate if it is due, and warns
// of certificates that end soon. It is called every now and then.
func (s *Service) lookAfterCertificates(ctx context.Context, now time.Time) {
	seen := s.shown.Load()
	patience, cancel := context.WithTimeout(ctx, lookPatience)
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

// refreshCRL signs our own CA's CRL anew before it ends, and when it lacks a revocation
// that is in the index, as the disk was full. Only a failure is logged: a tunnel of ours
// goes by the CRL however old it is, and by the index.
func (s *Service) refreshCRL(ctx context.Context, now time.Time) {
	cfg := s.shown.Load().cfg
	if !compile.NeedsPKI(cfg) {
		return
	}
	dir := cfg.PKI.Dir
	patience, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	_, err := pki.RefreshCRL(patience, dir, now)
	if ctx.Err() != nil {
		return // the service stops
	}
	failure := ""
	if err != nil {
		failure = fmt.Sprintf("the CRL of our own CA isn't up to date, so that others may accept what is revoked: %s%s", err, unwritable(err, dir))
		s.log.Error(msgCRLFailed, "err", failure, "retry", lookEvery)
	}
	s.update(func(now *view) { now.crlError = failure })
}

// renewIfDue says why it has renewed, "" if it hasn't, and when it is due next.
func renewIfDue(ctx context.Context, settings pki.Settings, now time.Time) (renewed string, due time.Time, err error) {
	due, reason, err := pki.NextRenewal(ctx, settings, now)
	if err != nil || due.IsZero() || due.After(now) {
		return "", due, err
	}
	renewed, err = pki.Renew(ctx, settings, now, pki.RenewOptions{})
	if err != nil {
		return "", due, fmt.Errorf("the server certificate should be renewed, as %s: %w%s", reason, err, unwritable(err, settings.Dir))
	}
	due, _, err = pki.NextRenewal(ctx, settings, now)
	return renewed, due, err
}

// unwritable says what to do when the service may not write to the folder.
func unwritable(err error, dir string) string {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Sprintf("; let the account of the service write to %q, or run `tlstunnel cert renew` as an administrator", dir)
	}
	return ""
}

// noteRenewal logs a failure, and keeps what status shows.
func (s *Service) noteRenewal(due time.Time, err error, now time.Time) {
	status := RenewalStatus{Due: due}
	if err == nil {
		s.renewalFailures = 0
	} else {
		s.renewalFailures++
		wait := renewalRetry.Spread(s.renewalFailures, rand.Float64())
		status.Error, status.Retry = err.Error(), now.Add(wait)
		s.log.Error(msgRenewalFailed, "err", err, "retry", wait)
	}
	s.update(func(now *view) { now.renewal = status })
}

// forgetFailures lets the next look try at once: the clock was set, which may have been
// what the last one failed of.
func (s *Service) forgetFailures() {
	s.renewalFailures = 0
	s.update(func(now *view) { now.renewal.Retry = time.Time{} })
}

// nextLook is how long to wait for the next [Service.lookAfterCertificates].
func (s *Service) nextLook(now time.Time) time.Duration {
	renewal, wait := s.shown.Load().renewal, lookEvery
	for _, at := range []time.Time{renewal.Due, renewal.Retry} {
		if left := at.Sub(now); left > 0 && left < wait {
			wait = left
		}
	}
	return max(wait, time.Second) // whatever happens, it mustn't spin
}

// dayMarks are the days before the end of a certificate at which there is a
// warning.
var dayMarks = []int{1, 3, 7, 14, 30}

// passedMark is the last of the marks that cert has passed, 0 if none.
func passedMark(cert *x509.Certificate, marks []int, now time.Time) int {
	for _, days := range marks {
		if cert.NotAfter.Sub(now) < time.Duration(days)*24*time.Hour {
			return days
		}
	}
	return 0
}

// warnOfExpiry warns once at each day-mark, also when nothing else happens.
func (s *Service) warnOfExpiry(now time.Time) {
	if !s.begin() {
		return
	}
	defer s.changing.Unlock()
	if !s.passMarks(now) {
		return
	}
	store, _ := pki.Open(s.cfg.PKI.Dir, now) // who can't open it has been told
	tunnels, _ := compile.Tunnels(s.cfg, store, now)
	for _, t := range tunnels {
		logWarnings(s.log, msgExpiry, t.Expiring)
	}
	if store == nil {
		return
	}
	if text := compile.CAEnds(store, now); text != "" {
		s.log.Warn(msgExpiry, "warning", text)
	}
}

// caMarks are the days before the end of our own CA at which there is a warning.
var caMarks = []int{1, 3, 7, 14, 30, 90, 180, 365}

// passMarks says whether a certificate in use has passed a day-mark since it was
// called last.
func (s *Service) passMarks(now time.Time) (passed bool) {
	marks := map[string]int{}
	pass := func(cert *x509.Certificate, days []int) {
		id := dn.Fingerprint(cert)
		marks[id] = passedMark(cert, days, now)
		passed = passed || marks[id] != 0 && marks[id] != s.warned[id]
	}
	store, _ := pki.Open(s.cfg.PKI.Dir, now) // nil if it can't be opened
	if store != nil && compile.NeedsPKI(s.cfg) {
		pass(store.CA, caMarks)
	}
	s.noteCA(store)
	for _, t := range s.tunnels {
		for _, cert := range t.Shown {
			pass(cert, dayMarks)
		}
	}
	s.warned = marks
	return passed
}
