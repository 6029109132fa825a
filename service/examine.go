package service

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/control"
)

// Where a status comes from.
const (
	SourceService = "service" // the service itself answered
	SourceSystem  = "system"  // from the service manager, the config and the certificates
)

// StateUnknown is the state if neither the service nor a service manager answers.
const StateUnknown = "unknown"

// Fallback has the functions that Examine asks if the service itself doesn't answer.
type Fallback struct {
	// State asks the service manager. The result is a value for [Status].State.
	State func() (string, error)

	// Check finds what is wrong with a config and its files, as the service would find it.
	Check func(cfg *config.Config, now time.Time) config.Problems
}

// dryRunTimeout limits the question whether the service would accept the config as it is now.
// The answer waits while a reload runs, and a status without it is useful too.
const dryRunTimeout = 3 * time.Second

// Examine returns the status of the service with that config. It asks the service. If the
// service doesn't answer, it asks fallback and reads the config and the certificates.
func Examine(ctx context.Context, configFile string, fallback Fallback) Status {
	st, err := AskStatus(ctx, configFile)
	if err != nil {
		return withoutService(configFile, err, fallback)
	}
	if st.Verdict == "" {
		st.Health = newHealth()
		st.problem(Unknown, "the running service is version %s, which reports no verdict: restart it", st.Version)
	}
	st.askDryRun(ctx, configFile)
	return st
}

// askDryRun asks the service whether it would accept the config as it is now.
func (st *Status) askDryRun(ctx context.Context, configFile string) {
	if st.State == StateStopping {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, dryRunTimeout)
	defer cancel()
	c, err := AskReload(ctx, configFile, true)
	switch {
	case err == nil && len(c.Opened)+len(c.Closed)+len(c.Changed) > 0:
		st.note("the config has changed since: `tlstunnel reload` applies it, `tlstunnel reload --dry-run` says what it would do")
	case errors.Is(err, ErrRefused) && (st.LastReload == nil || err.Error() != st.LastReload.Error):
		st.problem(Degraded, "the service would refuse the config as it is now: %s", err)
	case err != nil && !errors.Is(err, ErrRefused):
		st.note("the service didn't say whether it would accept the config as it is now: %s", err)
	}
}

// withoutService returns the status of a service that doesn't answer, and says why it doesn't.
func withoutService(configFile string, silent error, fallback Fallback) Status {
	st := Status{Health: newHealth(), Config: configFile, Source: SourceSystem, State: StateUnknown, Tunnels: []TunnelStatus{}}
	state, err := fallback.State()
	if err == nil {
		st.State = state
	}
	switch {
	case errors.Is(silent, fs.ErrPermission):
		st.problem(Unknown, "the state of the service is unknown: %s", silent)
	case errors.Is(silent, control.ErrNotRunning) && control.MayBeOthers(configFile):
		st.problem(Unknown, "another user may run tlstunnel with this config, and only that user gets an answer: ask as that user")
	case err == nil && state != StateRunning:
		st.problem(Down, "the service is %s", state)
	case err == nil:
		st.problem(Unknown, "the service is running, but doesn't answer: %s", silent)
	case errors.Is(silent, control.ErrNotRunning):
		st.problem(Down, "%s", silent)
		if configFile != config.SystemConfig() {
			st.note("if another user runs tlstunnel with this config, only that user gets an answer: ask as that user")
		}
	default:
		st.problem(Unknown, "%s", silent)
	}
	if err != nil {
		st.note("%s", err)
	}
	if !errors.Is(silent, fs.ErrPermission) { // otherwise files that only the service may read would count as faults
		st.checkConfig(configFile, fallback)
	}
	return st
}

// checkConfig checks the config and its certificates as the service would.
func (st *Status) checkConfig(file string, fallback Fallback) {
	cfg, problems, err := config.Load(file)
	if errors.Is(err, fs.ErrPermission) {
		st.note("%s", err)
		return
	}
	if err != nil {
		st.problem(Degraded, "%s", err)
		return
	}
	if cfg != nil {
		now := time.Now()
		st.fillFromConfig(cfg, now)
		problems = append(problems, fallback.Check(cfg, now)...)
	}
	if err := problems.Err(); err != nil {
		st.problem(Degraded, "the config has mistakes: %s", err)
	}
}
