package service

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"tlstunnel/internal/atomicfile"
	"tlstunnel/internal/config"
	"tlstunnel/internal/date"
	"tlstunnel/pki"
)

// A mark outside of the PKI's folder says that a PKI was there once. A folder that is
// empty in spite of it is a disk that isn't mounted, or a mishap: a new CA would shut out
// every client, and nobody would know why.

// PKIMarks are the paths of the marks for cfg, in folders that outlast the PKI's: the one
// above it and that of the log. The PKI's may be a disk of its own.
func PKIMarks(cfg *config.Config) []string {
	sum := sha256.Sum256([]byte(cfg.PKI.Dir))
	name := fmt.Sprintf(".pki-made-%x", sum[:4])
	marks := []string{filepath.Join(filepath.Dir(cfg.PKI.Dir), name)}
	if cfg.Log.File != config.Console {
		marks = append(marks, filepath.Join(filepath.Dir(cfg.Log.File), name))
	}
	return marks
}

// markPKI makes those marks that it can. One is enough, and without any it is as before.
func markPKI(cfg *config.Config) {
	text := fmt.Sprintf("tlstunnel has made a CA in %q. As long as this file is here, it makes no other there by itself.\n", cfg.PKI.Dir)
	for _, mark := range PKIMarks(cfg) {
		if _, err := os.Stat(filepath.Dir(mark)); err == nil {
			_ = atomicfile.Create(mark, []byte(text), atomicfile.Public)
		}
	}
}

// lostPKI is an error if there was a PKI where there is none now.
func lostPKI(cfg *config.Config) error {
	if !pki.IsEmpty(cfg.PKI.Dir) {
		return nil
	}
	for _, mark := range PKIMarks(cfg) {
		if info, err := os.Lstat(mark); err == nil {
			return fmt.Errorf("the PKI that was in %q is gone (there since %s, says %q), and no other is made in its place by itself, as every client would need the new CA: mount its disk, or restore the folder from a backup, or let `tlstunnel init` make a new CA",
				cfg.PKI.Dir, date.Day(info.ModTime()), mark)
		}
	}
	return nil
}

// MakePKI makes what is missing of the PKI that cfg describes and opens it. It
// returns the files that it made.
func MakePKI(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := cfg.Err(); err != nil {
		return nil, nil, err
	}
	store, created, err = pki.Ensure(ctx, pkiSettings(cfg), time.Now())
	if err == nil {
		markPKI(cfg)
	}
	return store, created, err
}

// FirstPKI is MakePKI if nobody has asked for a new CA: it makes none in the place of one
// that is gone.
func FirstPKI(ctx context.Context, cfg *config.Config) (store *pki.Store, created []string, err error) {
	if err := lostPKI(cfg); err != nil {
		return nil, nil, err
	}
	return MakePKI(ctx, cfg)
}
