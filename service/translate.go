package service

import (
	"crypto/tls"
	"crypto/x509"
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
	"tlstunnel/tunnel"
)

// sessionCacheSize is how many TLS sessions a client tunnel keeps to resume:
// each target hands out a few and only the newest ones are of use.
const sessionCacheSize = 64

// expirySoon is how long before a certificate's end there is a warning.
const expirySoon = 30 * 24 * time.Hour

// Check finds what is wrong with the certificates, keys and PKI that cfg names,
// as they are at the time now. It writes nothing and opens no socket; a PKI that
// doesn't exist yet is no problem, since the first run makes it.
func Check(cfg *config.Config, now time.Time) config.Problems {
	store, err := pki.Open(cfg.PKI.Dir, now)
	problems := pkiProblems(cfg, err)
	if errors.Is(err, fs.ErrNotExist) {
		problems = nil
	}
	problems = append(problems, nameProblems(cfg, store)...)
	_, more := translate(cfg, store, now, slog.New(slog.DiscardHandler))
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
	p := cfg.Problem(-1, "pki.dir", err.Error())
	p.Warning = !needsPKI(cfg)
	return config.Problems{p}
}

// nameProblems warns of names that were added to the config after the server
// certificate had been made.
func nameProblems(cfg *config.Config, store *pki.Store) (problems config.Problems) {
	if store == nil {
		return nil
	}
	for i, name := range cfg.PKI.Names {
		// As it may be a wildcard, it is looked for, not verified.
		ip := net.ParseIP(name)
		if slices.Contains(store.Server.Leaf.DNSNames, strings.ToLower(name)) ||
			slices.ContainsFunc(store.Server.Leaf.IPAddresses, ip.Equal) {
			continue
		}
		p := cfg.Problem(-1, fmt.Sprintf("pki.names[%d]", i), fmt.Sprintf(
			"pki.names has %q, which the server certificate was made without: delete server.crt and server.key in %q, run `tlstunnel init`, and restart", name, store.Dir))
		p.Warning = true
		problems = append(problems, p)
	}
	return problems
}

func needsPKI(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Tunnels, func(t config.Tunnel) bool {
		return t.Mode == config.ModeServer && t.Cert == "" ||
			slices.Contains(t.ClientCA, config.Own) || slices.Contains(t.CA, config.Own)
	})
}

func pkiSettings(cfg *config.Config) pki.Settings {
	return pki.Settings{
		Dir:          cfg.PKI.Dir,
		KeyType:      cfg.PKI.KeyType,
		CAValidity:   cfg.PKI.CAValidity,
		CertValidity: cfg.PKI.CertValidity,
		Names:        cfg.PKI.Names,
		Subject:      pki.Subject(cfg.PKI.Subject),
	}
}

// translator turns one tunnel of a config into what package tunnel takes, and
// collects what is wrong on the way.
type translator struct {
	cfg      *config.Config
	store    *pki.Store // nil when there is none (yet)
	now      time.Time
	index    int // of the tunnel in cfg
	tunnel   config.Tunnel
	problems config.Problems
}

// translate reads the files that the tunnels of cfg name. The settings are of
// use only when no problem is an error.
func translate(cfg *config.Config, store *pki.Store, now time.Time, log *slog.Logger) ([]tunnel.Settings, config.Problems) {
	var all []tunnel.Settings
	var problems config.Problems
	for i, t := range cfg.Tunnels {
		tr := translator{cfg: cfg, store: store, now: now, index: i, tunnel: t}
		all = append(all, tr.settings(log))
		problems = append(problems, tr.problems...)
	}
	return all, problems
}

func (tr *translator) settings(log *slog.Logger) tunnel.Settings {
	t := tr.tunnel
	s := tunnel.Settings{
		Name:                t.Name,
		AllowFrom:           t.AllowFrom,
		DenyFrom:            t.DenyFrom,
		MaxConnections:      t.MaxConnections,
		MaxConnectionsPerIP: t.MaxConnectionsPerIP,
		HandshakeTimeout:    t.HandshakeTimeout,
		ConnectTimeout:      t.ConnectTimeout,
		IdleTimeout:         t.IdleTimeout,
		HalfCloseTimeout:    t.HalfCloseTimeout,
		Keepalive:           t.Keepalive,
		Logger:              log,
	}
	if t.Mode == config.ModeServer {
		s.Front = tr.serverTLS()
	}
	for _, address := range t.Target {
		target := tunnel.Target{Address: address}
		if t.Mode == config.ModeClient {
			target.TLS = tr.clientTLS(address)
		}
		s.Targets = append(s.Targets, target)
	}
	return s
}

// commonTLS is what both modes share. Resumption never outlives it: each config
// has ticket keys and a session cache of its own.
func (tr *translator) commonTLS() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: tr.tunnel.ALPN}
	if tr.tunnel.Profile == config.ProfileModern {
		c.MinVersion = tls.VersionTLS13
	}
	return c
}

func (tr *translator) serverTLS() *tls.Config {
	c := tr.commonTLS()
	if tr.tunnel.Cert != "" {
		c.Certificates = tr.keyPair()
	} else if tr.store != nil {
		c.Certificates = []tls.Certificate{tr.store.Server}
		tr.warnExpiry("name", tr.store.Server.Leaf)
	}
	if tr.tunnel.ClientAuth == config.ClientAuthRequire {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = tr.pool("client_ca", tr.tunnel.ClientCA)
	}
	return c
}

// clientTLS is for one target, since the name that its certificate must have
// defaults to the target's host.
func (tr *translator) clientTLS(address string) *tls.Config {
	c := tr.commonTLS()
	c.ServerName = tr.tunnel.ServerName
	if c.ServerName == "" {
		c.ServerName, _, _ = net.SplitHostPort(address)
	}
	if len(tr.tunnel.CA) > 0 {
		c.RootCAs = tr.pool("ca", tr.tunnel.CA)
	}
	if tr.tunnel.Cert != "" {
		c.Certificates = tr.keyPair()
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	return c
}

func (tr *translator) keyPair() []tls.Certificate {
	cert, err := pki.LoadKeyPair(tr.tunnel.Cert, tr.tunnel.Key, tr.now)
	if err != nil {
		tr.problem("cert", err.Error())
		return nil
	}
	tr.warnExpiry("cert", cert.Leaf)
	return []tls.Certificate{cert}
}

func (tr *translator) pool(key string, files []string) *x509.CertPool {
	pool := x509.NewCertPool()
	for i, file := range files {
		if file == config.Own {
			if tr.store != nil {
				pool.AddCert(tr.store.CA)
			}
			continue
		}
		certs, err := pki.LoadCertificates(file)
		if err != nil {
			tr.problem(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
		for _, cert := range certs {
			if !cert.IsCA {
				tr.warn(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q holds the certificate %q, which isn't a CA's: it is trusted until the other side renews it; better take the certificate of its CA", file, cert.Subject))
			}
			pool.AddCert(cert)
		}
	}
	return pool
}

func (tr *translator) warnExpiry(key string, leaf *x509.Certificate) {
	if left := leaf.NotAfter.Sub(tr.now); left < expirySoon {
		tr.warn(key, fmt.Sprintf("the certificate %q expires on %s, in %d days: renew it and restart", leaf.Subject, leaf.NotAfter.Format(time.DateOnly), left/(24*time.Hour)))
	}
}

func (tr *translator) problem(key, text string) {
	tr.report(tr.cfg.Problem(tr.index, key, text))
}

func (tr *translator) warn(key, text string) {
	p := tr.cfg.Problem(tr.index, key, text)
	p.Warning = true
	tr.report(p)
}

// report takes a problem once, however many targets run into it.
func (tr *translator) report(p config.Problem) {
	if !slices.Contains(tr.problems, p) {
		tr.problems = append(tr.problems, p)
	}
}
