package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/logging"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// Changes is what a reload does to the tunnels, or would do.
type Changes struct {
	Opened    []Endpoint `json:"opened"`
	Closed    []Endpoint `json:"closed"`  // drains
	Changed   []Endpoint `json:"changed"` // for new connections; the socket stays
	Unchanged []Endpoint `json:"unchanged"`
	LeftOut   []Endpoint `json:"left_out"` // were left out before and still are; a dry run would try them again

	// LogLevel is the new log level, "" if it stays the same.
	LogLevel string `json:"log_level,omitempty"`

	// AtRestart names the sections whose changes take effect only at a restart.
	AtRestart []string `json:"at_restart"`
}

// Endpoint is a tunnel and where it listens.
type Endpoint struct {
	Tunnel string `json:"tunnel"`
	Listen string `json:"listen"`
}

// ReloadResult is the result of a reload.
type ReloadResult struct {
	Time    time.Time `json:"time"`
	Error   string    `json:"error,omitempty"`
	Changes Changes   `json:"changes"`
}

// Reload reads the config and every file that it names again, and applies all of it. On an
// error it changes nothing. New settings are for new connections. Reload ends two kinds of
// connections: those whose certificate was revoked, at once, and those of a tunnel that is
// gone or listens elsewhere, after the old shutdown_grace. With dryRun it only says what it
// would do. It doesn't find out then whether the new ports are free.
func (s *Service) Reload(ctx context.Context, dryRun bool) (Changes, error) {
	if !s.lockUnlessStopping() {
		return s.compare(plan{}), errStopping
	}
	defer s.changing.Unlock()
	return s.reload(ctx, dryRun)
}

// reload is Reload. The caller holds changing.
func (s *Service) reload(ctx context.Context, dryRun bool) (Changes, error) {
	log := s.log
	if dryRun {
		log = slog.New(slog.DiscardHandler) // `tlstunnel status` may ask every minute
	}
	p, err := s.readAgain(log)
	if err != nil {
		return s.compare(plan{}), err
	}
	changes := s.compare(p)
	if dryRun {
		return changes, nil
	}
	if err := s.apply(ctx, p); err != nil {
		return s.compare(plan{}), err
	}
	changes.recordOutcome(s.tunnels)
	s.setLogLevel(p.cfg.Log)
	return changes, nil
}

// recordOutcome sorts the tunnels that were tried into those that listen now and those that
// are still left out.
func (c *Changes) recordOutcome(tunnels []*running) {
	tried := slices.Concat(c.Opened, c.LeftOut)
	c.Opened, c.LeftOut = []Endpoint{}, []Endpoint{}
	for _, e := range tried {
		if leftOutNamed(tunnels, e.Tunnel) == nil {
			c.Opened = append(c.Opened, e)
		} else {
			c.LeftOut = append(c.LeftOut, e)
		}
	}
}

var errStopping = errors.New("the service is stopping")

func (s *Service) readAgain(log *slog.Logger) (plan, error) {
	cfg, problems, err := config.Load(s.cfg.File)
	if err == nil {
		err = problems.Err()
	}
	if err != nil {
		return plan{}, err
	}
	if len(cfg.Tunnels) == 0 && len(s.tunnels) > 0 {
		// An editor that empties a file before it writes it, or a full disk, leaves such a
		// file behind. Its defaults would also turn watch off.
		return plan{}, fmt.Errorf("config %q has no tunnel any more: is the file complete? to serve none, stop the service, or restart it", s.cfg.File)
	}
	LogWarnings(log, problems)
	// A reload never makes a PKI in place of one that is gone: only a first run makes new keys.
	store, err := pki.Open(cfg.PKI.Dir, time.Now())
	p := prepareAll(cfg, store, err, log)
	return p, s.refuse(p)
}

// compare returns how p differs from the running tunnels. An empty p has no changes.
func (s *Service) compare(p plan) Changes {
	c := Changes{Opened: []Endpoint{}, Closed: []Endpoint{}, Changed: []Endpoint{}, Unchanged: []Endpoint{}, LeftOut: []Endpoint{}, AtRestart: []string{}}
	if p.cfg == nil {
		return c
	}
	for _, t := range p.tunnels {
		at := Endpoint{t.Config.Name, t.Config.Listen}
		switch r := find(s.tunnels, t.Config); {
		case r == nil && s.isLeftOut(t.Config):
			c.LeftOut = append(c.LeftOut, at)
		case r == nil:
			c.Opened = append(c.Opened, at)
		case !r.SameAs(&t):
			c.Changed = append(c.Changed, at)
		default:
			c.Unchanged = append(c.Unchanged, at)
		}
	}
	for _, r := range s.tunnels {
		if r.out == nil && !slices.ContainsFunc(p.tunnels, func(t compile.Prepared) bool { return sameSocket(t.Config, r.Config) }) {
			c.Closed = append(c.Closed, Endpoint{r.Config.Name, r.Config.Listen})
		}
	}
	logged := s.logged
	if s.logControl != nil {
		if s.logControl.Level() != logging.LevelOf(p.cfg.Log) {
			c.LogLevel = p.cfg.Log.Level
		}
		logged.Level = p.cfg.Log.Level
	}
	if p.cfg.Log != logged {
		c.AtRestart = append(c.AtRestart, "log")
	}
	return c
}

// setLogLevel sets the level of the next log lines. The other settings of the log wait for a
// restart.
func (s *Service) setLogLevel(log config.Log) {
	if s.logControl != nil {
		s.logControl.Set(logging.LevelOf(log))
	}
}

// reloadLogged is Reload, and it also logs the result, keeps it for the status and tells
// systemd.
func (s *Service) reloadLogged(ctx context.Context, cause string) (Changes, error) {
	if !s.lockUnlessStopping() {
		return s.compare(plan{}), errStopping
	}
	defer s.changing.Unlock()
	s.notify(notifyReloading)
	defer s.notify(notifyReady)
	changes, err := s.reload(ctx, false)
	result := ReloadResult{Time: time.Now(), Changes: changes}
	if err != nil {
		result.Error = err.Error()
	}
	s.update(func(now *snapshot) { now.lastReload = result })
	if err != nil {
		s.log.Error(msgReloadRefused, "cause", cause, "err", err)
		return changes, err
	}
	select {
	case s.checkCertsNow <- struct{}{}: // a change of pki.names, for example, makes a renewal due
	default:
	}
	s.log.Info(msgReloaded, "cause", cause, "opened", names(changes.Opened), "closed", names(changes.Closed),
		"changed", names(changes.Changed), "at_restart", changes.AtRestart, "log_level", changes.LogLevel, "left_out", names(changes.LeftOut))
	return changes, nil
}

func names(endpoints []Endpoint) []string {
	var all []string
	for _, e := range endpoints {
		all = append(all, e.Tunnel)
	}
	return all
}
