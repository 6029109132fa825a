package service

import (
	"context"
	"reflect"
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
// key that doesn't fit say, is mended. The caller holds changing.
func (s *Service) applyCRLs() (changed []string) {
	for i, r := range s.tunnels {
		if r.out != nil {
			continue
		}
		lists, _ := r.RevocationsNow(s.cfg, i, time.Now())
		if len(lists)+len(r.Settings.RevocationLists) == 0 {
			continue
		}
		r.Revoke(lists)
		r.tunnel.Apply(r.Settings)
		changed = append(changed, r.Config.Name)
	}
	return changed
}

// crlsChanged is called when a file that says what is revoked has changed. The index
// of our own CA also does with each certificate that is issued: that is no reason to
// read everything, and to warn of everything again.
func (s *Service) crlsChanged(ctx context.Context) {
	if s.revocationsDiffer() {
		_ = s.refresh(ctx, "CRL changed") // it has logged the error
	}
	s.refreshCRL(ctx, time.Now()) // a command that was killed, or found the disk full, hasn't
}

func (s *Service) revocationsDiffer() bool {
	if !s.begin() {
		return false
	}
	defer s.changing.Unlock()
	for i, r := range s.tunnels {
		if lists, whole := r.RevocationsNow(s.cfg, i, time.Now()); r.out != nil || !whole || !reflect.DeepEqual(lists, r.Settings.RevocationLists) {
			return true
		}
	}
	return false
}
