package service

import (
	"context"
	"fmt"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
)

// RotationStep is [pki.Rotate], [pki.FinishRotation] or [pki.CancelRotation].
type RotationStep func(ctx context.Context, s pki.Settings, now time.Time) error

// Rotate takes a step of a rotation of the CA that cfg describes and opens the PKI.
func Rotate(ctx context.Context, cfg *config.Config, step RotationStep) (*pki.Store, error) {
	if err := step(ctx, pkiSettings(cfg), time.Now()); err != nil {
		return nil, err
	}
	return pki.Open(cfg.PKI.Dir, time.Now())
}

// CAStatus is how our own CA does.
type CAStatus struct {
	Expires time.Time `json:"expires"`
	Next    string    `json:"next,omitempty"` // the SHA-256 of the CA to come, while a rotation is under way
}

// noteCA keeps what status shows of our own CA: the disk that has it may not answer when
// somebody asks. The caller holds changing.
func (s *Service) noteCA(store *pki.Store) {
	st := caStatus(s.cfg, store)
	s.update(func(now *view) { now.ca = st })
}

// caStatus is nil when there is no CA, or no tunnel that needs it.
func caStatus(cfg *config.Config, store *pki.Store) *CAStatus {
	if store == nil || !needsPKI(cfg) {
		return nil
	}
	st := &CAStatus{Expires: store.CA.NotAfter}
	if store.Next != nil {
		st.Next = dn.Fingerprint(store.Next)
	}
	return st
}

// caMarks are the days before the end of our own CA at which there is a warning.
var caMarks = []int{1, 3, 7, 14, 30, 90, 180, 365}

// caEndText warns of the end of our own CA, "" when it is far: further than a year,
// or, for one that was made for a short time, a quarter of that.
func caEndText(store *pki.Store, now time.Time) string {
	left := store.CA.NotAfter.Sub(now)
	if passedMark(store.CA, caMarks, now) == 0 || left >= store.CA.NotAfter.Sub(store.CA.NotBefore)/4 {
		return ""
	}
	text := fmt.Sprintf("our own CA %q expires on %s, in %d days, and with it all its certificates: ",
		dn.Text(store.CA.Subject), date.Day(store.CA.NotAfter), left/(24*time.Hour))
	if store.Next != nil {
		return text + "end the rotation that is under way with `tlstunnel ca rotate --finish`"
	}
	return text + "`tlstunnel ca rotate` makes the next one, and says what to do"
}
