package service

import (
	"context"
	"crypto/sha256"
	"time"

	"tlstunnel/pki"
)

// refresh reads every file that the config in force names anew, but not the
// config itself, and applies them, all or, on an error, none but the CRLs. It logs
// how that went.
func (s *Service) refresh(ctx context.Context, cause string) error {
	changed, err := s.readFilesAgain(ctx)
	switch {
	case err != nil:
		s.log.Error(msgRefreshRefused, "cause", cause, "err", err, "changed", changed)
	case len(changed) > 0:
		s.log.Info(msgRefreshed, "cause", cause, "changed", changed)
	}
	return err
}

// readFilesAgain returns the names of the tunnels that it has changed.
func (s *Service) readFilesAgain(ctx context.Context) (changed []string, err error) {
	if !s.begin() {
		return nil, errStopping
	}
	defer s.changing.Unlock()
	store, err := pki.Open(s.cfg.PKI.Dir, time.Now())
	p := prepareAll(s.cfg, store, err, s.log)
	if err := s.refuse(p); err != nil {
		return s.applyCRLs(), err
	}
	changed = names(s.compare(p).Changed)
	return changed, s.apply(ctx, p)
}

// applyCRLs reads the CRLs alone: a revocation doesn't wait until another file, a
// key that doesn't fit say, is mended. A tunnel with a CRL that can't be
// read keeps those that it has. The caller holds changing.
func (s *Service) applyCRLs() (changed []string) {
	for i, r := range s.tunnels {
		if r.out != nil {
			continue
		}
		tr := translator{cfg: s.cfg, store: &pki.Store{Dir: s.cfg.PKI.Dir}, now: time.Now(), index: i, tunnel: r.config, digest: sha256.New(), trusted: r.trusted}
		lists := tr.revocationLists()
		if tr.problems.Err() != nil || len(lists)+len(r.settings.RevocationLists) == 0 {
			continue
		}
		r.settings.RevocationLists = lists
		r.digest = [sha256.Size]byte{} // no longer of all that the settings were made from
		r.tunnel.Apply(r.settings)
		changed = append(changed, r.config.Name)
	}
	return changed
}
