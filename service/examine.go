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
	SourceService = "service" // it has answered itself
	SourceSystem  = "system"  // the service manager, the config and the certificates
)

// StateUnknown is when neither the service nor a service manager says anything.
const StateUnknown = "unknown"

// Outside is what can be asked when the service itself doesn't answer.
type Outside struct {
	// State asks the service manager, in the words of [Status].State.
	State func() (string, error)

	// Check finds what is wrong with a config and its files, as the service sees them.
	Check func(cfg *config.Config, now time.Time) config.Problems
}

// aheadTimeout is how long the service has to say whether it takes the config as it
// is now. A reload that is under way holds that up, and the status doesn't need it.
const aheadTimeout = 3 * time.Second

// Examine finds out how the service with that config does: from itself if it
// answers, otherwise from the service manager, the config and the certificates.
func Examine(ctx context.Context, configFile string, outside Outside) Status {
	st, err := AskStatus(ctx, configFile)
	if err != nil {
		return withoutService(configFile, err, outside)
	}
	if st.Verdict == "" {
		st.Health = newHealth()
		st.problem(Unknown, "the service is version %s and doesn't say how it does: restart it", st.Version)
	}
	st.askAhead(ctx, configFile)
	return st
}

// askAhead asks the service whether it takes the config as it is now.
func (st *Status) askAhead(ctx context.Context, configFile string) {
	if st.State == StateStopping {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, aheadTimeout)
	defer cancel()
	c, err := AskReload(ctx, configFile, true)
	switch {
	case err == nil && len(c.Opened)+len(c.Closed)+len(c.Changed) > 0:
		st.note("the config has changed since: `tlstunnel reload` applies it, `tlstunnel reload --dry-run` says what it would do")
	case errors.Is(err, ErrRefused) && (st.LastReload == nil || err.Error() != st.LastReload.Error):
		st.problem(Degraded, "the service would refuse the config as it is now: %s", err)
	case err != nil && !errors.Is(err, ErrRefused):
		st.note("the service didn't say whether it takes the config as it is now: %s", err)
	}
}

// withoutService finds out what can be known of a service that doesn't answer, and
// says why it doesn't.
func withoutService(configFile string, silent error, outside Outside) Status {
	st := Status{Health: newHealth(), Config: configFile, Source: SourceSystem, State: StateUnknown, Tunnels: []TunnelStatus{}}
	state, err := outside.State()
	if err == nil {
		st.State = state
	}
	switch {
	case errors.Is(silent, fs.ErrPermission):
		st.problem(Unknown, "how the service does is unknown: %s", silent)
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
	if !errors.Is(silent, fs.ErrPermission) { // what this user may not read, the service may
		st.checkConfig(configFile, outside)
	}
	return st
}

// checkConfig looks at the config and its certificates as the service would.
func (st *Status) checkConfig(file string, outside Outside) {
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
		st.offline(cfg, now)
		problems = append(problems, outside.Check(cfg, now)...)
	}
	if err := problems.Err(); err != nil {
		st.problem(Degraded, "the config has mistakes: %s", err)
	}
}
