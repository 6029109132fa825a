package service

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
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
	p := cfg.Problem(-1, "pki.dir", err.Error())
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
	return slices.ContainsFunc(cfg.Tunnels, func(t config.Tunnel) bool {
		return t.Mode == config.ModeServer && t.Cert == "" && !t.ACME.Enabled() || t.Cert == config.Own ||
			trustsOwn(t)
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

// prepared is a tunnel whose files have been read.
type prepared struct {
	config   config.Tunnel
	settings tunnel.Settings
	digest   [sha256.Size]byte   // of all that the settings were made from
	shown    []*x509.Certificate // what it proves its identity with
	trusted  []*x509.Certificate // the CAs, but for those of the operating system
	expiring config.Problems     // warnings about those that end soon
	acme     *acmeCert           // where it gets its certificate, nil if it has one
}

// prepareAll reads every file that cfg names. The store is our own PKI, or pkiErr
// says why there is none.
func prepareAll(cfg *config.Config, store *pki.Store, pkiErr error, log *slog.Logger) (plan, error) {
	problems := pkiProblems(cfg, pkiErr)
	problems = append(problems, storeProblems(cfg, store)...)
	tunnels, more := translate(cfg, store, time.Now())
	problems = append(problems, more...)
	for i, t := range tunnels {
		tunnels[i].settings.Logger = log
		logWarnings(log, msgExpiry, t.expiring)
		problems = slices.DeleteFunc(problems, func(p config.Problem) bool { return slices.Contains(t.expiring, p) })
	}
	LogWarnings(log, problems)
	return plan{cfg, tunnels}, problems.Err()
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

// translate turns the tunnels of cfg into what package tunnel takes. They are of
// use only when no problem is an error.
func translate(cfg *config.Config, store *pki.Store, now time.Time) ([]prepared, config.Problems) {
	var all []prepared
	var problems config.Problems
	for i, t := range cfg.Tunnels {
		tr := translator{cfg: cfg, store: store, now: now, index: i, tunnel: t, digest: sha256.New()}
		p := prepared{config: t, settings: tr.settings(), shown: tr.shown, trusted: tr.trusted, expiring: tr.expiring, acme: tr.acme}
		fmt.Fprintf(tr.digest, "%+v", t)
		tr.digest.Sum(p.digest[:0])
		all = append(all, p)
		problems = append(problems, tr.problems...)
	}
	return all, problems
}

// translator turns one tunnel of a config into what package tunnel takes, and
// collects what is wrong on the way.
type translator struct {
	cfg    *config.Config
	store  *pki.Store // nil when there is none (yet)
	now    time.Time
	index  int // of the tunnel in cfg
	tunnel config.Tunnel

	digest   hash.Hash           // of every certificate and CRL that is used
	trusted  []*x509.Certificate // the CAs, but for those of the operating system
	shown    []*x509.Certificate
	expiring config.Problems
	acme     *acmeCert
	problems config.Problems
}

func (tr *translator) settings() tunnel.Settings {
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
	for _, rule := range t.Allow {
		s.Allow = append(s.Allow, tunnel.Rule(rule))
	}
	s.RevocationLists = tr.revocationLists()
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
	if tr.tunnel.ACME.Enabled() {
		tr.getByACME(c)
	} else if tr.tunnel.Cert != "" {
		c.Certificates = tr.keyPair()
	} else {
		c.Certificates = tr.own("name")
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
	if len(tr.tunnel.Pins) > 0 {
		tunnel.Pin(c, tr.tunnel.Pins)
	}
	switch tr.tunnel.Cert {
	case "":
	case config.Own:
		c.Certificates = tr.own("cert")
	default:
		c.Certificates = tr.keyPair()
	}
	c.ClientSessionCache = tls.NewLRUClientSessionCache(sessionCacheSize)
	return c
}

func (tr *translator) keyPair() []tls.Certificate {
	cert, err := pki.LoadKeyPair(tr.tunnel.Cert, tr.tunnel.Key, tr.tunnel.KeyPasswordFile, tr.now)
	if err != nil {
		tr.problem("cert", err.Error())
		return nil
	}
	if tr.tunnel.Key != "" {
		tr.warnOfAccess("key", "key", tr.tunnel.Key)
	} else {
		tr.warnOfAccess("cert", "key", tr.tunnel.Cert)
	}
	if file := tr.tunnel.KeyPasswordFile; file != "" {
		tr.warnOfAccess("key_password_file", "password file", file)
	}
	if err := pki.CheckChain(cert); err != nil {
		tr.warn("cert", err.Error())
	}
	return tr.show("cert", cert)
}

// warnOfAccess warns when others may read a secret file that key names.
func (tr *translator) warnOfAccess(key, what, file string) {
	if text := pki.AccessWarning(what, file); text != "" {
		tr.warn(key, text)
	}
}

// CertFile is the file with the certificate that a tunnel of cfg shows, "" if it shows
// none. With acme it may not be there yet.
func CertFile(cfg *config.Config, t config.Tunnel) string {
	switch {
	case t.ACME.Enabled():
		return acmeOf(cfg, t.ACME).CertFile()
	case t.Cert == config.Own, t.Cert == "" && t.Mode == config.ModeServer:
		return filepath.Join(cfg.PKI.Dir, "server.crt")
	}
	return t.Cert
}

// own is our own server certificate, once there is one.
func (tr *translator) own(key string) []tls.Certificate {
	if tr.store == nil {
		return nil
	}
	return tr.show(key, tr.store.Server)
}

// endSoon says that cert ends soon, and what to do; "" if it doesn't. Our own has
// renewed itself before the last quarter of its life, unless something is wrong.
func (tr *translator) endSoon(cert *x509.Certificate) string {
	left := cert.NotAfter.Sub(tr.now)
	own := tr.store != nil && cert.Equal(tr.store.Server.Leaf)
	if left >= expirySoon || own && left >= cert.NotAfter.Sub(cert.NotBefore)/4 {
		return ""
	}
	text := fmt.Sprintf("the certificate %q expires on %s, in %d days: ", dn.Text(cert.Subject), cert.NotAfter.Local().Format(time.DateOnly), left/(24*time.Hour))
	switch {
	case !own:
		return text + "renew it"
	case !cert.NotAfter.Before(tr.store.CA.NotAfter):
		return text + "its CA ends with it, `tlstunnel ca rotate` makes the next one"
	default:
		return text + "it should have renewed itself, `tlstunnel cert renew` does it or says why not"
	}
}

// show makes cert what the tunnel proves its identity with; key is the one in
// the config that a warning is about.
func (tr *translator) show(key string, cert tls.Certificate) []tls.Certificate {
	if text := tr.endSoon(cert.Leaf); text != "" {
		p := tr.warn(key, text)
		if !slices.Contains(tr.expiring, p) {
			tr.expiring = append(tr.expiring, p)
		}
	}
	for _, der := range cert.Certificate {
		tr.digest.Write(der)
	}
	tr.shown = append(tr.shown, cert.Leaf)
	return []tls.Certificate{cert}
}

func (tr *translator) pool(key string, files []string) *x509.CertPool {
	pool := x509.NewCertPool()
	add := func(cert *x509.Certificate) {
		tr.digest.Write(cert.Raw)
		tr.trust(cert)
		pool.AddCert(cert)
	}
	for i, file := range files {
		if file == config.Own {
			if tr.store != nil {
				for _, ca := range tr.store.Trusted {
					add(ca)
				}
			}
			continue
		}
		certs, err := pki.LoadCertificates(file)
		if err != nil {
			tr.problem(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
		for _, cert := range certs {
			if !cert.IsCA {
				tr.warn(fmt.Sprintf("%s[%d]", key, i), fmt.Sprintf("%q holds the certificate %q, which isn't a CA's: it is trusted until the other side renews it; better take the certificate of its CA", file, dn.Text(cert.Subject)))
			}
			add(cert)
		}
		if err := pki.CheckCAs(file, certs, tr.now); err != nil {
			tr.warn(fmt.Sprintf("%s[%d]", key, i), err.Error())
		}
	}
	return pool
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
