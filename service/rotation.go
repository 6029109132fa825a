package service

import (
	"context"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// RotationStep is [pki.Rotate], [pki.FinishRotation] or [pki.CancelRotation].
type RotationStep func(ctx context.Context, s pki.Settings, now time.Time) error

// Rotate takes a step of a rotation of the CA that cfg describes and opens the PKI.
func Rotate(ctx context.Context, cfg *config.Config, step RotationStep) (*pki.Store, error) {
	if err := step(ctx, compile.PKI(cfg), time.Now()); err != nil {
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
	if store == nil || !compile.NeedsPKI(cfg) {
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
