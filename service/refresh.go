package service

import (
	"context"
	"reflect"
	"time"

	"tlstunnel/pki"
)

// refresh reads again every file that the running config names, but not the config itself,
// and applies them. On an error it applies only the CRLs. It logs the result.
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

// readFilesAgain returns the names of the tunnels that changed.
func (s *Service) readFilesAgain(ctx context.Context) (changed []string, err error) {
	if !s.lockUnlessStopping() {
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

// applyCRLs reads and applies the CRLs alone. So a revocation doesn't wait until somebody has
// repaired another file, for example a key that doesn't fit. The caller holds changing.
func (s *Service) applyCRLs() (changed []string) {
	for i, r := range s.tunnels {
		if r.out != nil {
			continue
		}
		lists, _ := r.RevocationsNow(s.cfg, i, time.Now())
		if len(lists)+len(r.Settings.RevocationLists) == 0 {
			continue
		}
		r.SetRevocations(lists)
		r.tunnel.Apply(r.Settings)
		changed = append(changed, r.Config.Name)
	}
	return changed
}

// crlsChanged is called when a CRL or the index of our own CA has changed. The index also
// changes with each certificate that is issued. Then nothing is revoked, so crlsChanged
// neither reads all files nor repeats all warnings.
func (s *Service) crlsChanged(ctx context.Context) {
	if s.revocationsDiffer() {
		_ = s.refresh(ctx, "CRL changed") // it has logged the error
	}
	s.refreshCRL(ctx, time.Now()) // the command that revoked may have been killed before, or found the disk full
}

func (s *Service) revocationsDiffer() bool {
	if !s.lockUnlessStopping() {
		return false
	}
	defer s.changing.Unlock()
	for i, r := range s.tunnels {
		if lists, complete := r.RevocationsNow(s.cfg, i, time.Now()); r.out != nil || !complete || !reflect.DeepEqual(lists, r.Settings.RevocationLists) {
			return true
		}
	}
	return false
}
