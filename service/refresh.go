package service

import (
	"context"
	"time"

	"tlstunnel/pki"
)

// refresh reads every file that the config in force names anew, but not the
// config itself, and applies them, all or, on an error, none. It logs how that
// went.
func (s *Service) refresh(ctx context.Context, cause string) error {
	changed, err := s.readFilesAgain(ctx)
	switch {
	case err != nil:
		s.log.Error(msgRefreshRefused, "cause", cause, "err", err)
	case len(changed) > 0:
		s.log.Info(msgRefreshed, "cause", cause, "changed", changed)
	}
	return err
}

// readFilesAgain returns the names of the tunnels that it has changed.
func (s *Service) readFilesAgain(ctx context.Context) (changed []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, errStopping
	}
	store, err := pki.Open(s.cfg.PKI.Dir, time.Now())
	p, err := prepareAll(s.cfg, store, err, s.log)
	if err != nil {
		return nil, err
	}
	changed = names(s.compare(p).Changed)
	return changed, s.apply(ctx, p)
}
