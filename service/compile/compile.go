// Package compile turns a config into what package tunnel takes: it reads the files that the
// config names, judges them, and says what is wrong, with the place in the config. It starts
// nothing, and writes neither files nor log lines.
//
//	store, err := pki.Open(cfg.PKI.Dir, now)
//	tunnels, problems := compile.Tunnels(cfg, store, now)
//	t := tunnel.New(tunnels[0].Settings)
//
// There is a file for each concern: tls.go, cert.go, ca.go, revocation.go, acme.go, pki.go.
package compile

import (
	"crypto/sha256"
	"crypto/x509"
	"hash"
	"reflect"
	"slices"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/pki"
	"tlstunnel/pki/acme"
	"tlstunnel/tunnel"
)

// Prepared is a tunnel of a config whose files have been read.
type Prepared struct {
	Config   config.Tunnel
	Settings tunnel.Settings     // without a logger; zero if there are Problems
	Shown    []*x509.Certificate // what it proves its identity with
	Expiring config.Problems     // warnings about those that end soon
	ACME     *acme.Source        // where it gets its certificate, nil if it has one
	Problems config.Problems     // why it can't run
	Warnings config.Problems     // but for those in Expiring

	trusted []*x509.Certificate // the CAs, but for those of the operating system
	read    [sha256.Size]byte   // a digest of the certificates and revocations that were read
}

// Tunnels compiles the tunnels of cfg as of now, and returns all that is wrong with them. A
// nil store means that there is no PKI of our own.
func Tunnels(cfg *config.Config, store *pki.Store, now time.Time) (all []Prepared, problems config.Problems) {
	for i := range cfg.Tunnels {
		t := Tunnel(cfg, i, store, now)
		all = append(all, t)
		problems = slices.Concat(problems, t.Problems, t.Warnings, t.Expiring)
	}
	return all, problems
}

// Tunnel compiles the i-th tunnel of cfg. If anything is wrong with it, in the config or in
// the files, there are no settings at all: settings without the wrong part might let in more
// than the user wants.
func Tunnel(cfg *config.Config, i int, store *pki.Store, now time.Time) Prepared {
	t := cfg.Tunnels[i]
	b := builder{cfg: cfg, store: store, now: now, index: i, tunnel: t, read: sha256.New()}
	p := Prepared{Config: t, Settings: b.settings(), Shown: b.shown, trusted: b.trusted, Expiring: b.expiring, ACME: b.acme}
	for _, problem := range b.problems {
		switch {
		case !problem.Warning:
			p.Problems = append(p.Problems, problem)
		case !slices.Contains(b.expiring, problem):
			p.Warnings = append(p.Warnings, problem)
		}
	}
	if len(p.Problems) > 0 || cfg.IsBroken(i) {
		p.Settings = tunnel.Settings{}
	}
	b.read.Sum(p.read[:0])
	return p
}

// Begins is when the last of the certificates that the tunnel shows begins, zero if
// it shows none.
func (p *Prepared) Begins() (last time.Time) {
	if cert := p.ACME.Certificate(); cert != nil {
		return cert.Leaf.NotBefore
	}
	for _, cert := range p.Shown {
		if cert.NotBefore.After(last) {
			last = cert.NotBefore
		}
	}
	return last
}

// Expires is when the first of the certificates that the tunnel shows ends, zero
// if it shows none.
func (p *Prepared) Expires() (first time.Time) {
	if cert := p.ACME.Certificate(); cert != nil {
		return cert.Leaf.NotAfter
	}
	for _, cert := range p.Shown {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}

// SameAs reports whether p does the same as o: both were made from the same values of the
// config and the same files. It compares the fields by reflection, so that a new field of
// the config counts by itself.
func (p *Prepared) SameAs(o *Prepared) bool {
	return p.read == o.read && reflect.DeepEqual(p.Config, o.Config) && reflect.DeepEqual(p.ACME.Terms(), o.ACME.Terms())
}

// builder turns one tunnel of a config into settings, and collects what is wrong on the way.
type builder struct {
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

func (b *builder) settings() tunnel.Settings {
	t := b.tunnel
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
		s.Front = b.serverTLS()
		s.Own = b.ownServers()
	}
	for _, address := range t.Target {
		target := tunnel.Target{Address: address}
		if t.Mode == config.ModeClient {
			target.TLS = b.clientTLS(address)
		}
		s.Targets = append(s.Targets, target)
	}
	for _, rule := range t.Allow {
		s.Allow = append(s.Allow, tunnel.Rule(rule))
	}
	b.warnOfAccess()
	s.RevocationLists = b.revocationLists()
	s.Trusted = b.trusted
	return s
}

// isWrong tells whether the config has an error in the value of one of the keys, which is
// reported already.
func (b *builder) isWrong(keys ...string) bool {
	return slices.ContainsFunc(keys, func(key string) bool { return b.cfg.IsWrong(b.index, key) })
}

func (b *builder) problem(key, text string) {
	b.report(b.cfg.Problem(b.index, key, text))
}

func (b *builder) warn(key, text string) config.Problem {
	p := b.cfg.Problem(b.index, key, text)
	p.Warning = true
	b.report(p)
	return p
}

// report takes a problem once, however many targets run into it.
func (b *builder) report(p config.Problem) {
	if !slices.Contains(b.problems, p) {
		b.problems = append(b.problems, p)
	}
}
