// Package compile turns a config into the settings of package tunnel. It reads and checks the
// files that the config names, and reports each problem with its place in the config. It
// starts nothing, and writes neither files nor log lines.
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
	Certs    []*x509.Certificate // the certificates that it presents, without that of ACME
	Expiring config.Problems     // warnings about certificates that end soon
	ACME     *acme.Source        // gets the certificate from a public CA, nil without acme
	Problems config.Problems     // why it can't run
	Warnings config.Problems     // all others than those in Expiring

	trusted []*x509.Certificate // the CAs, without those of the operating system
	digest  [sha256.Size]byte   // a digest of the certificates and revocations that were read
}

// Tunnels compiles the tunnels of cfg at the time now, and returns all their problems. The
// store is nil if there is no PKI of our own.
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
	b := builder{cfg: cfg, store: store, now: now, index: i, tunnel: t, digest: sha256.New()}
	p := Prepared{Config: t, Settings: b.settings(), Certs: b.certs, trusted: b.trusted, Expiring: b.expiring, ACME: b.acme}
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
	b.digest.Sum(p.digest[:0])
	return p
}

// Begins returns the time from which all certificates of the tunnel are valid, zero if it
// presents none.
func (p *Prepared) Begins() (last time.Time) {
	if cert := p.ACME.Certificate(); cert != nil {
		return cert.Leaf.NotBefore
	}
	for _, cert := range p.Certs {
		if cert.NotBefore.After(last) {
			last = cert.NotBefore
		}
	}
	return last
}

// Expires returns when the first certificate of the tunnel ends, zero if it presents none.
func (p *Prepared) Expires() (first time.Time) {
	if cert := p.ACME.Certificate(); cert != nil {
		return cert.Leaf.NotAfter
	}
	for _, cert := range p.Certs {
		if first.IsZero() || cert.NotAfter.Before(first) {
			first = cert.NotAfter
		}
	}
	return first
}

// SameAs reports whether p and o were made from the same values of the config and the same
// files. It compares the config by reflection, so that a new field isn't forgotten.
func (p *Prepared) SameAs(o *Prepared) bool {
	return p.digest == o.digest && reflect.DeepEqual(p.Config, o.Config) && reflect.DeepEqual(p.ACME.Terms(), o.ACME.Terms())
}

// builder turns one tunnel of a config into settings, and collects the problems on the way.
type builder struct {
	cfg    *config.Config
	store  *pki.Store // nil when there is none (yet)
	now    time.Time
	index  int // of the tunnel in cfg
	tunnel config.Tunnel

	digest   hash.Hash           // of every certificate and revocation that is used
	trusted  []*x509.Certificate // the CAs, without those of the operating system
	certs    []*x509.Certificate
	expiring config.Problems
	acme     *acme.Source
	problems config.Problems

	unreadable []string // the CRLs and the index, if they can't be read
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

// isWrong reports whether the config has an error in the value of one of the keys. Package
// config has reported that error.
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

// report adds a problem once, even if several targets have it.
func (b *builder) report(p config.Problem) {
	if !slices.Contains(b.problems, p) {
		b.problems = append(b.problems, p)
	}
}
