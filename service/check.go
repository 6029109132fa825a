package service

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
)

// expirySoon is how long before a certificate's end there is a warning.
const expirySoon = 30 * 24 * time.Hour

// Check finds what is wrong with the certificates, keys and PKI that cfg names,
// as they are at the time now. It writes nothing and opens no socket; a PKI that
// has never been there is no problem, since the first run makes it.
func Check(cfg *config.Config, now time.Time) config.Problems {
	store, err := pki.Open(cfg.PKI.Dir, now)
	problems := pkiProblems(cfg, err)
	if errors.Is(err, fs.ErrNotExist) {
		problems = pkiProblems(cfg, lostPKI(cfg))
	}
	if text := pki.TooLongForApple(cfg.PKI.CertValidity); text != "" {
		p := cfg.Problem(-1, "pki.cert_validity", "pki.cert_validity makes "+text)
		p.Warning = true
		problems = append(problems, p)
	}
	problems = append(problems, storeProblems(cfg, store)...)
	_, more := translate(cfg, store, now)
	problems = append(problems, more...)
	problems.Sort()
	return problems
}

// pkiProblems says that our own PKI can't be used. That is only a warning when
// no tunnel needs it.
func pkiProblems(cfg *config.Config, err error) config.Problems {
	if err == nil {
		return nil
	}
	why := err.Error()
	if errors.Is(err, fs.ErrPermission) && cfg.File == config.SystemConfig() {
		why += "; `tlstunnel check`, by root or an administrator, says what lets the service"
	}
	p := cfg.Problem(-1, "pki.dir", why)
	p.Warning = !needsPKI(cfg)
	return config.Problems{p}
}

// storeProblems warns of what isn't as it should be with a PKI that can be used:
// who may read it, and names that were added to the config after the server
// certificate had been made.
func storeProblems(cfg *config.Config, store *pki.Store) (problems config.Problems) {
	if store == nil {
		return nil
	}
	for _, text := range store.Warnings {
		p := cfg.Problem(-1, "pki.dir", text)
		p.Warning = true
		problems = append(problems, p)
	}
	if text := caEndText(store, time.Now()); text != "" && needsPKI(cfg) {
		p := cfg.Problem(-1, "pki.dir", text)
		p.Warning = true
		problems = append(problems, p)
	}
	if has := pki.KeyType(store.CA); has != cfg.PKI.KeyType && needsPKI(cfg) {
		p := cfg.Problem(-1, "pki.key_type", fmt.Sprintf(
			"pki.key_type is %q, but the CA that exists has a key of the type %s, and key_type has no effect on it: `tlstunnel ca rotate` makes the next CA with it, and `tlstunnel cert renew --new-key` the key of the server certificate", cfg.PKI.KeyType, has))
		p.Warning = true
		problems = append(problems, p)
	}
	for i, name := range cfg.PKI.Names {
		// As it may be a wildcard, it is looked for, not verified.
		ip := net.ParseIP(name)
		if slices.Contains(store.Server.Leaf.DNSNames, strings.ToLower(name)) ||
			slices.ContainsFunc(store.Server.Leaf.IPAddresses, ip.Equal) {
			continue
		}
		p := cfg.Problem(-1, fmt.Sprintf("pki.names[%d]", i), fmt.Sprintf(
			"pki.names has %q, which the server certificate was made without: a running service renews it by itself, and so does `tlstunnel cert renew`", name))
		p.Warning = true
		problems = append(problems, p)
	}
	return problems
}

func needsPKI(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Tunnels, usesPKI)
}

// usesPKI reports whether the tunnel can't do without our own PKI.
func usesPKI(t config.Tunnel) bool {
	return t.Mode == config.ModeServer && t.Cert == "" && !t.ACME.Enabled() || t.Cert == config.Own || trustsOwn(t)
}

// LogWarnings logs those of the problems of a config that are warnings.
func LogWarnings(log *slog.Logger, problems config.Problems) { logWarnings(log, msgConfig, problems) }

func logWarnings(log *slog.Logger, message string, problems config.Problems) {
	for _, p := range problems {
		if p.Warning {
			log.Warn(message, "warning", p.Text, "tunnel", p.Tunnel, "config", fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col))
		}
	}
}
