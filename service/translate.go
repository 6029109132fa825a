package service

import (
	"crypto/sha256"
	"crypto/x509"
	"hash"
	"log/slog"
	"reflect"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/pki/acme"
	"tlstunnel/tunnel"
)

func pkiSettings(cfg *config.Config) pki.Settings {
	return pki.Settings{
		Dir:          cfg.PKI.Dir,
		KeyType:      cfg.PKI.KeyType,
		CAValidity:   cfg.PKI.CAValidity,
		CertValidity: cfg.PKI.CertValidity,
		Names:        cfg.PKI.Names,
		Subject:      dn.Subject(cfg.PKI.Subject),
	}
}

// prepared is a tunnel whose files have been read.
type prepared struct {
	config   config.Tunnel
	settings tunnel.Settings
	read     [sha256.Size]byte   // a digest of the certificates and revocations that were read
	shown    []*x509.Certificate // what it proves its identity with
	trusted  []*x509.Certificate // the CAs, but for those of the operating system
	expiring config.Problems     // warnings about those that end soon
	acme     *acme.Source        // where it gets its certificate, nil if it has one
	problems config.Problems     // why it can't run: its files, or our own PKI
	warnings config.Problems     // about its files, but for those in expiring
}

// prepareAll reads every file that cfg names, and logs what there is to warn of.
// The store is our own PKI, or pkiErr says why there is none.
func prepareAll(cfg *config.Config, store *pki.Store, pkiErr error, log *slog.Logger) plan {
	warnings := append(pkiProblems(cfg, pkiErr), storeProblems(cfg, store)...)
	p := plan{cfg: cfg}
	for i := range cfg.Tunnels {
		t := prepare(cfg, i, store, pkiErr, log, time.Now())
		logWarnings(log, msgExpiry, t.expiring)
		warnings = append(warnings, t.warnings...)
		p.tunnels = append(p.tunnels, t)
	}
	LogWarnings(log, warnings)
	return p
}

// prepare reads the files of a tunnel that is to run, and logs nothing.
func prepare(cfg *config.Config, i int, store *pki.Store, pkiErr error, log *slog.Logger, now time.Time) prepared {
	t := translateOne(cfg, i, store, now)
	t.settings.Logger = log
	if cfg.IsBroken(i) {
		t.problems = append(t.problems, cfg.Problem(i, "name", "can't run, as its config has a mistake"))
	}
	if usesPKI(t.config) {
		t.problems = append(pkiProblems(cfg, pkiErr), t.problems...)
	}
	return t
}

// translate turns the tunnels of cfg into what package tunnel takes.
func translate(cfg *config.Config, store *pki.Store, now time.Time) (all []prepared, problems config.Problems) {
	for i := range cfg.Tunnels {
		t := translateOne(cfg, i, store, now)
		all = append(all, t)
		problems = slices.Concat(problems, t.problems, t.warnings, t.expiring)
	}
	return all, problems
}

// translateOne turns a tunnel of cfg into what package tunnel takes. If anything of it is
// wrong, in the config or in the files, there are no settings at all: others, which lack
// what is wrong, might let in more than the user wants.
func translateOne(cfg *config.Config, i int, store *pki.Store, now time.Time) prepared {
	t := cfg.Tunnels[i]
	tr := translator{cfg: cfg, store: store, now: now, index: i, tunnel: t, read: sha256.New()}
	p := prepared{config: t, settings: tr.settings(), shown: tr.shown, trusted: tr.trusted, expiring: tr.expiring, acme: tr.acme}
	for _, problem := range tr.problems {
		switch {
		case !problem.Warning:
			p.problems = append(p.problems, problem)
		case !slices.Contains(tr.expiring, problem):
			p.warnings = append(p.warnings, problem)
		}
	}
	if len(p.problems) > 0 || cfg.IsBroken(i) {
		p.settings = tunnel.Settings{}
	}
	tr.read.Sum(p.read[:0])
	return p
}

// sameAs reports whether p does the same as o: both were made from the same values of the
// config and the same files. By reflection it compares fields that don't exist yet, too.
func (p *prepared) sameAs(o *prepared) bool {
	return p.read == o.read && reflect.DeepEqual(p.config, o.config) && reflect.DeepEqual(p.acme.Terms(), o.acme.Terms())
}

// translator turns one tunnel of a config into what package tunnel takes, and
// collects what is wrong on the way.
type translator struct {
	cfg    *config.Config
	store  *pki.Store // nil when there is none (yet)
	now    time.Time
	index  int // of the tunnel in cfg
	tunnel config.Tunnel

	read     hash.Hash           // of every certificate and revocation that is used
	trusted  []*x509.Certificate // the CAs, but for those of the operating system
	shown    []*x509.Certificate
	expiring config.Problems
	acme     *acme.Source
	problems config.Problems

	unreadable []string // those of the files that say what is revoked
}

func (tr *translator) settings() tunnel.Settings {
	t := tr.tunnel
	s := tunnel.Settings{
		Name:                t.Name,
		AllowFrom:           t.AllowFrom,
		DenyFrom:            t.DenyFrom,
		RequireCloseNotify:  t.CloseNotify == config.CloseNotifyRequire,
		MaxConnections:      t.MaxConnections,
		MaxConnectionsPerIP: t.MaxConnectionsPerIP,
		HandshakeTimeout:    t.HandshakeTimeout,
		ConnectTimeout:      t.ConnectTimeout,
		IdleTimeout:         t.IdleTimeout,
		HalfCloseTimeout:    t.HalfCloseTimeout,
		Keepalive:           t.Keepalive,
	}
	if t.Mode == config.ModeServer {
		s.Front = tr.serverTLS()
		s.Own = tr.ownServers()
	}
	for _, address := range t.Target {
		target := tunnel.Target{Address: address}
		if t.Mode == config.ModeClient {
			target.TLS = tr.clientTLS(address)
		}
		s.Targets = append(s.Targets, target)
	}
	for _, rule := range t.Allow {
		s.Allow = append(s.Allow, tunnel.Rule(rule))
	}
	tr.warnOfAccess()
	s.RevocationLists = tr.revocationLists()
	s.Trusted = tr.trusted
	return s
}

// isWrong tells whether the config has an error in the value of one of the keys, which is
// reported already.
func (tr *translator) isWrong(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return tr.cfg.IsWrong(tr.index, key) })
}

func (tr *translator) problem(key, text string) {
	tr.report(tr.cfg.Problem(tr.index, key, text))
}

func (tr *translator) warn(key, text string) config.Problem {
	p := tr.cfg.Problem(tr.index, key, text)
	p.Warning = true
	tr.report(p)
	return p
}

// report takes a problem once, however many targets run into it.
func (tr *translator) report(p config.Problem) {
	if !slices.Contains(tr.problems, p) {
		tr.problems = append(tr.problems, p)
	}
}
