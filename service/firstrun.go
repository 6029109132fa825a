package service

import (
	"context"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// MakePKI makes what is missing of the PKI that cfg describes and opens it. It
// returns the files that it made.
func MakePKI(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := cfg.Err(); err != nil {
		return nil, nil, err
	}
	store, created, err = pki.Ensure(ctx, compile.PKI(cfg), time.Now())
	if err == nil {
		pki.Mark(cfg.PKI.Dir, compile.Marks(cfg))
	}
	return store, created, err
}

// FirstPKI is MakePKI if nobody has asked for a new CA: it makes none in the place of one
// that is gone.
func FirstPKI(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := pki.Lost(cfg.PKI.Dir, compile.Marks(cfg)); err != nil {
		return nil, nil, err
	}
	return MakePKI(ctx, cfg)
}
