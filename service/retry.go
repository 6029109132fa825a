package service

import (
	"context"
	"reflect"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/backoff"
	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// A tunnel is left out while something outside the config keeps it from running: a
// certificate, CA or CRL file that is missing or broken, a port that is taken, an address
// that this machine doesn't have yet. All of that may change by itself, so the service tries
// again until it succeeds. The other tunnels run meanwhile.

// retryBackoff is the wait before the next attempt: short enough to use a new address soon,
// long enough to read the files each time.
var retryBackoff = backoff.Doubling{First: time.Second, Most: 10 * time.Second}

// LeftOut says why a tunnel of the config doesn't run.
type LeftOut struct {
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"` // the next attempt
}

// leftOut is LeftOut with its problems. Nobody changes it once other goroutines can see it.
type leftOut struct {
	LeftOut
	problems config.Problems
}

// failedAgain returns the successor of o after another failed attempt. o may be nil.
func (o *leftOut) failedAgain(problems config.Problems, now time.Time) *leftOut {
	var reasons []string
	for _, p := range problems {
		reasons = append(reasons, p.Text)
	}
	next := leftOut{LeftOut{Reason: strings.Join(reasons, "; "), Since: now, Attempts: 1}, problems}
	if o != nil && o.Attempts > 0 {
		next.Since, next.Attempts = o.Since, o.Attempts+1
	}
	next.Next = now.Add(retryBackoff.After(next.Attempts))
	return &next
}

// attempt opens the socket of t, the i-th tunnel of cfg. If it can't, out of the result says
// why.
func (s *Service) attempt(ctx context.Context, cfg *config.Config, i int, t compile.Prepared, now time.Time) *running {
	r, problems := &running{Prepared: t}, t.Problems
	if len(problems) == 0 {
		var err error
		if r.listener, err = listen(ctx, t.Config); err == nil {
			return r
		}
		problems = config.Problems{cfg.Problem(i, "listen", s.explainListenError(t.Config, err))}
	}
	r.out = leftOutNamed(s.tunnels, t.Config.Name).failedAgain(problems, now)
	return r
}

// reread is the result of reading the files of a left-out tunnel again.
type reread struct {
	out      *leftOut
	prepared compile.Prepared
	store    *pki.Store
}

// retryLeftOut begins another attempt for each left-out tunnel whose wait is over. A network
// drive that hangs can block a read for ever, so each tunnel reads its files in a goroutine
// of its own. [Service.finishRetry] does the rest. Nobody waits for the goroutine: it ends
// when its read ends.
func (s *Service) retryLeftOut(ctx context.Context, now time.Time) {
	if !s.lockUnlessStopping() {
		return
	}
	defer s.changing.Unlock()
	for i, r := range s.tunnels {
		if r.out != nil && !s.reading[r.out] && !now.Before(r.out.Next) {
			s.reading[r.out] = true
			go s.rereadFiles(ctx, s.cfg, i, r.out)
		}
	}
}

// rereadFiles reads the files of the i-th tunnel of cfg, which is left out because of out.
func (s *Service) rereadFiles(ctx context.Context, cfg *config.Config, i int, out *leftOut) {
	patience, cancel := context.WithTimeout(ctx, pkiLockTimeout)
	defer cancel()
	store, err := s.ownPKI(patience, cfg)
	t := reread{out, prepare(cfg, i, store, err, s.log, time.Now()), store}
	select {
	case s.rereads <- t:
	case <-ctx.Done():
	}
}

// finishRetry opens the socket of a tunnel if its files are good now. If a reload came between,
// the reload has tried already, and finishRetry does nothing.
func (s *Service) finishRetry(ctx context.Context, t reread, now time.Time) {
	delete(s.reading, t.out)
	if !s.lockUnlessStopping() {
		return
	}
	defer s.changing.Unlock()
	i := slices.IndexFunc(s.tunnels, func(r *running) bool { return r.out == t.out })
	if i < 0 {
		return
	}
	r, next := s.attempt(ctx, s.cfg, i, t.prepared, now), slices.Clone(s.tunnels)
	if next[i] = r; r.out == nil {
		LogWarnings(s.log, t.prepared.Warnings) // here, so that failed attempts don't repeat them
		s.start(r)
	}
	s.publish(s.cfg, next)
	if r.out == nil {
		s.noteCA(t.store)
		s.notify(notifyReady)
	}
}

// nextAttempt returns how long to wait before the next [Service.retryLeftOut].
func (s *Service) nextAttempt(now time.Time) time.Duration {
	wait := time.Hour // if no tunnel is left out
	for _, r := range s.current.Load().tunnels {
		if r.out != nil && !s.reading[r.out] {
			wait = min(wait, max(0, r.out.Next.Sub(now)))
		}
	}
	return wait
}

// refuse returns what is wrong with the files of p's tunnels, without the tunnels that may be
// left out.
func (s *Service) refuse(p plan) error {
	var problems config.Problems
	for _, t := range p.tunnels {
		for _, problem := range t.Problems {
			if !s.mayBeLeftOut(t.Config, problem.Text) && !slices.Contains(problems, problem) {
				problems = append(problems, problem)
			}
		}
	}
	problems.Sort()
	return problems.Err()
}

// mayBeLeftOut reports whether a config is accepted although reason leaves out its tunnel t.
// That is so if t is left out already and the new config didn't cause it.
func (s *Service) mayBeLeftOut(t config.Tunnel, reason string) bool {
	out := leftOutNamed(s.tunnels, t.Name)
	return out != nil && (s.isLeftOut(t) || strings.Contains(out.Reason, reason))
}

// isLeftOut reports whether t is left out already, with the same config.
func (s *Service) isLeftOut(t config.Tunnel) bool {
	return slices.ContainsFunc(s.tunnels, func(r *running) bool { return r.out != nil && reflect.DeepEqual(r.Config, t) })
}

// leftOutNamed returns nil if the named tunnel isn't left out.
func leftOutNamed(tunnels []*running, name string) *leftOut {
	for _, r := range tunnels {
		if r.Config.Name == name {
			return r.out
		}
	}
	return nil
}

// leftOutNames returns the names of the tunnels that are left out.
func (s *Service) leftOutNames() []string {
	var all []string
	for _, r := range s.current.Load().tunnels {
		if r.out != nil {
			all = append(all, r.Config.Name)
		}
	}
	return all
}

// logLeftOut logs a new reason why r is left out, or that r is no longer left out.
func (s *Service) logLeftOut(r *running, before *leftOut) {
	switch {
	case r.out != nil && (before == nil || before.Reason != r.out.Reason):
		s.log.Error(msgLeftOut, "tunnel", r.Config.Name, "err", r.out.problems.Err(), "retry_every", retryBackoff.Most)
	case r.out == nil && before != nil && before.Attempts > 0:
		s.log.Info(msgListensAgain, "tunnel", r.Config.Name, "after", time.Since(before.Since).Round(time.Second), "attempts", before.Attempts)
	}
}
