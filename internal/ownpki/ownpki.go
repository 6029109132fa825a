// Package ownpki makes the PKI that a config describes, renews its server certificate and
// rotates its CA, for the commands, the installer and the service. Package pki does the work and
// knows no config.
//
//	store, created, err := ownpki.First(ctx, cfg)
package ownpki

import (
	"context"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// Make makes the missing files of the PKI that cfg describes, and opens it. It returns the paths
// of the files that it made.
func Make(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := cfg.Err(); err != nil {
		return nil, nil, err
	}
	store, created, err = pki.Ensure(ctx, compile.PKI(cfg), time.Now())
	if err == nil {
		pki.Mark(cfg.PKI.Dir, compile.Marks(cfg))
	}
	return store, created, err
}

// First is Make for a caller that wasn't asked for a new CA. If a CA existed and is gone, First
// returns an error instead of making another one.
func First(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := pki.Lost(cfg.PKI.Dir, compile.Marks(cfg)); err != nil {
		return nil, nil, err
	}
	return Make(ctx, cfg)
}

// Marks returns the paths of the marks that First and Make leave, see [pki.Mark].
func Marks(cfg *config.Config) []string { return compile.Marks(cfg) }

// Renew renews the server certificate and opens the PKI.
func Renew(ctx context.Context, cfg *config.Config, opts pki.RenewOptions) (*pki.Store, error) {
	if _, err := pki.Renew(ctx, compile.PKI(cfg), time.Now(), opts); err != nil {
		return nil, err
	}
	return pki.Open(cfg.PKI.Dir, time.Now())
}

// RotationStep is [pki.Rotate], [pki.FinishRotation] or [pki.CancelRotation].
type RotationStep func(ctx context.Context, s pki.Settings, now time.Time) error

// Rotate takes a step of a rotation of the CA and opens the PKI.
func Rotate(ctx context.Context, cfg *config.Config, step RotationStep) (*pki.Store, error) {
	if err := step(ctx, compile.PKI(cfg), time.Now()); err != nil {
		return nil, err
	}
	return pki.Open(cfg.PKI.Dir, time.Now())
}
