package service

import (
	"fmt"
	"log/slog"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
)

// prepareAll reads every file that cfg names, and logs the warnings. The store is our own PKI.
// If it is nil, pkiErr says why.
func prepareAll(cfg *config.Config, store *pki.Store, pkiErr error, log *slog.Logger) plan {
	warnings := compile.PKIProblems(cfg, store, pkiErr, time.Now())
	p := plan{cfg: cfg}
	for i := range cfg.Tunnels {
		t := prepare(cfg, i, store, pkiErr, log, time.Now())
		logWarnings(log, msgExpiry, t.Expiring)
		warnings = append(warnings, t.Warnings...)
		p.tunnels = append(p.tunnels, t)
	}
	LogWarnings(log, warnings)
	return p
}

// prepare reads the files of the i-th tunnel. It logs nothing.
func prepare(cfg *config.Config, i int, store *pki.Store, pkiErr error, log *slog.Logger, now time.Time) compile.Prepared {
	t := compile.Tunnel(cfg, i, store, now)
	t.Settings.Logger = log
	if cfg.IsBroken(i) {
		t.Problems = append(t.Problems, cfg.Problem(i, "name", "can't run, as its config has a mistake"))
	}
	if compile.UsesPKI(t.Config) {
		t.Problems = append(compile.PKIProblems(cfg, nil, pkiErr, now), t.Problems...)
	}
	return t
}

// LogWarnings logs the warnings among the problems of a config.
func LogWarnings(log *slog.Logger, problems config.Problems) { logWarnings(log, msgConfig, problems) }

func logWarnings(log *slog.Logger, message string, problems config.Problems) {
	for _, p := range problems {
		if p.Warning {
			log.Warn(message, "warning", p.Text, "tunnel", p.Tunnel, "config", fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col))
		}
	}
}
