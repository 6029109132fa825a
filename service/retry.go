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

// A tunnel is left out while its surroundings don't let it run: a certificate, CA
// or CRL file that is missing or broken, a port that is taken, an address that
// this machine doesn't have yet. Time may mend all of that, so it is tried again
// for as long as it takes. The other tunnels run meanwhile.

// attempts are short enough for an address to be used soon after it has come, and long
// enough for a file to be read each time.
var attempts = backoff.Doubling{First: time.Second, Most: 10 * time.Second}

// LeftOut is why a tunnel of the config doesn't run.
type LeftOut struct {
	Reason   string    `json:"reason"`
	Since    time.Time `json:"since"`
	Attempts int       `json:"attempts"`
	Next     time.Time `json:"next"` // attempt
}

// leftOut isn't changed once other goroutines can see it.
type leftOut struct {
	LeftOut
	problems config.Problems
}

// again is o after another attempt that failed.
func (o *leftOut) again(problems config.Problems, now time.Time) *leftOut {
	var reasons []string
	for _, p := range problems {
		reasons = append(reasons, p.Text)
	}
	next := leftOut{LeftOut{Reason: strings.Join(reasons, "; "), Since: now, Attempts: 1}, problems}
	if o != nil && o.Attempts > 0 {
		next.Since, next.Attempts = o.Since, o.Attempts+1
	}
	next.Next = now.Add(attempts.After(next.Attempts))
	return &next
}

// attempt opens the socket of t, number i of cfg, or says in the result why t is
// left out.
func (s *Service) attempt(ctx context.Context, cfg *config.Config, i int, t compile.Prepared, now time.Time) *running {
	r, problems := &running{Prepared: t}, t.Problems
	if len(problems) == 0 {
		var err error
		if r.listener, err = listen(ctx, t.Config); err == nil {
			return r
		}
		problems = config.Problems{cfg.Problem(i, "listen", s.explainTaken(t.Config, err))}
	}
	r.out = leftOutNamed(s.tunnels, t.Config.Name).again(problems, now)
	return r
}

// trial is another attempt for a tunnel that is left out, once its files have been read.
type trial struct {
	left     *leftOut
	prepared compile.Prepared
	store    *pki.Store
}

// tryLeftOut begins another attempt for those tunnels that are left out and whose time
// has come. A network drive that hangs can block a read for ever, so each tunnel has a
// goroutine for that, and [Service.finishTrial] does the rest. Nobody waits for the
// goroutine: it ends when its read does.
func (s *Service) tryLeftOut(ctx context.Context, now time.Time) {
	if !s.begin() {
		return
	}
	defer s.changing.Unlock()
	for i, r := range s.tunnels {
		if r.out != nil && !s.reading[r.out] && !now.Before(r.out.Next) {
			s.reading[r.out] = true
			go s.readAnew(ctx, s.cfg, i, r.out)
		}
	}
}

// readAnew reads the files of left, number i of cfg.
func (s *Service) readAnew(ctx context.Context, cfg *config.Config, i int, left *leftOut) {
	patience, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	store, err := s.ownPKI(patience, cfg)
	t := trial{left, prepare(cfg, i, store, err, s.log, time.Now()), store}
	select {
	case s.trials <- t:
	case <-ctx.Done():
	}
}

// finishTrial opens the socket of a tunnel whose files are good by now. If a reload came
// first, that has tried already.
func (s *Service) finishTrial(ctx context.Context, t trial, now time.Time) {
	delete(s.reading, t.left)
	if !s.begin() {
		return
	}
	defer s.changing.Unlock()
	i := slices.IndexFunc(s.tunnels, func(r *running) bool { return r.out == t.left })
	if i < 0 {
		return
	}
	r, next := s.attempt(ctx, s.cfg, i, t.prepared, now), slices.Clone(s.tunnels)
	if next[i] = r; r.out == nil {
		LogWarnings(s.log, t.prepared.Warnings) // not at each attempt
		s.start(r)
	}
	s.publish(s.cfg, next)
	if r.out == nil {
		s.noteCA(t.store)
		s.notify(notifyReady)
	}
}

// nextAttempt is how long to wait for the next [Service.tryLeftOut].
func (s *Service) nextAttempt(now time.Time) time.Duration {
	wait := time.Hour // nothing to do
	for _, r := range s.shown.Load().tunnels {
		if r.out != nil && !s.reading[r.out] {
			wait = min(wait, max(0, r.out.Next.Sub(now)))
		}
	}
	return wait
}

// refuse says what is wrong with the files of p's tunnels, but for those that may
// be left out.
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

// mayBeLeftOut reports whether the reason to leave t out is none to refuse a
// config: t is left out already, and not by a change of the config.
func (s *Service) mayBeLeftOut(t config.Tunnel, reason string) bool {
	out := leftOutNamed(s.tunnels, t.Name)
	return out != nil && (s.isLeftOut(t) || strings.Contains(out.Reason, reason))
}

// isLeftOut reports whether t is left out, with the same config as now.
func (s *Service) isLeftOut(t config.Tunnel) bool {
	return slices.ContainsFunc(s.tunnels, func(r *running) bool { return r.out != nil && reflect.DeepEqual(r.Config, t) })
}

// leftOutNamed is nil when the named tunnel isn't left out.
func leftOutNamed(tunnels []*running, name string) *leftOut {
	for _, r := range tunnels {
		if r.Config.Name == name {
			return r.out
		}
	}
	return nil
}

// leftOutNames are the tunnels that are left out.
func (s *Service) leftOutNames() []string {
	var all []string
	for _, r := range s.shown.Load().tunnels {
		if r.out != nil {
			all = append(all, r.Config.Name)
		}
	}
	return all
}

// logLeftOut logs that r is left out for another reason than before, or no longer.
func (s *Service) logLeftOut(r *running, before *leftOut) {
	switch {
	case r.out != nil && (before == nil || before.Reason != r.out.Reason):
		s.log.Error(msgLeftOut, "tunnel", r.Config.Name, "err", r.out.problems.Err(), "retry_every", attempts.Most)
	case r.out == nil && before != nil && before.Attempts > 0:
		s.log.Info(msgLetIn, "tunnel", r.Config.Name, "after", time.Since(before.Since).Round(time.Second), "attempts", before.Attempts)
	}
}
