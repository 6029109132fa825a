package service

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/pki"
	"tlstunnel/pki/certfile"
)

const (
	acmeLook    = time.Minute      // how often the file is looked at, which another machine may have renewed
	acmeTimeout = 10 * time.Minute // for one order, and the wait for one of another machine
)

// acmeCert is the certificate of a tunnel that a public CA issues: it orders,
// renews and hands it out. As nil it does nothing.
type acmeCert struct {
	pki.ACME
	tunnel     string
	httpListen string
	jitter     float64 // of the renewals, as in [pki.RenewAt]

	now   func() time.Time
	order func(context.Context, func() time.Time, func(tls.Certificate) bool, pki.HTTPAnswerer) (tls.Certificate, error) // [pki.ACME.Renew]

	current atomic.Pointer[tls.Certificate] // nil: none yet

	again  chan struct{} // asks to try again at once
	cancel context.CancelFunc
	ended  chan struct{}

	mu        sync.Mutex // guards what follows
	failures  int        // in a row
	failure   string     // the last one
	failedAt  time.Time  // likewise
	next      time.Time  // of the next attempt
	notBefore time.Time  // of any attempt, as the CA wants
}

// ACMEStatus is how a tunnel got on with its CA.
type ACMEStatus struct {
	Directory string    `json:"directory"`
	Failure   string    `json:"failure,omitempty"`   // of the last attempt
	Next      time.Time `json:"next,omitzero"`       // attempt or renewal
	NotBefore time.Time `json:"not_before,omitzero"` // of an attempt after a failure, also by a reload: the CA wants none earlier
}

// getByACME makes c show the certificate of the tunnel's CA, and answer that CA.
// The certificate isn't in what the tunnel has read: a new one is shown by the same settings.
func (tr *translator) getByACME(c *tls.Config) {
	if tr.isWrong("acme") {
		return
	}
	t := tr.tunnel.ACME
	a := &acmeCert{
		ACME:   acmeOf(tr.cfg, t),
		tunnel: tr.tunnel.Name, httpListen: t.HTTPListen, again: make(chan struct{}, 1),
		jitter: rand.Float64(), now: time.Now,
	}
	a.order = a.Renew
	tr.acme = a
	c.GetCertificate, c.GetConfigForClient = a.get, a.answer
	if t.DirectoryCA != "" {
		_, unusable, err := certfile.LoadCAs(t.DirectoryCA)
		if err != nil {
			tr.problem("acme.directory_ca", err.Error())
		}
		for _, why := range unusable {
			tr.warn("acme.directory_ca", why.Error())
		}
	}
	if err := a.CheckEAB(); err != nil {
		tr.problem("acme.eab_key_file", err.Error())
	}
	switch cert, err := a.Load(tr.now); {
	case err == nil:
		a.current.Store(&cert)
		tr.warnOfChain("acme", cert)
	case errors.Is(err, fs.ErrNotExist):
		tr.warn("acme", "there is no certificate from the CA yet: tlstunnel orders it when it runs, and until it is there, nobody can connect")
	default:
		if cert.Leaf != nil { // its dates alone are wrong: the peer decides
			a.current.Store(&cert)
		}
		tr.warn("acme", err.Error())
	}
}

func acmeOf(cfg *config.Config, t config.ACME) pki.ACME {
	return pki.ACME{
		Dir: cfg.PKI.Dir, KeyType: cfg.PKI.KeyType,
		Directory: t.Directory, DirectoryCA: t.DirectoryCA, Email: t.Email, Domains: t.Domains, Challenge: t.Challenge,
		EABKid: t.EABKid, EABKeyFile: t.EABKeyFile,
	}
}

// terms are what it asks for, and of whom.
func (a *acmeCert) terms() pki.ACME {
	if a == nil {
		return pki.ACME{}
	}
	return a.ACME
}

var errNoCertificate = errors.New("there is no certificate from the CA yet (acme): the log and `tlstunnel status` say why")

// get is [tls.Config.GetCertificate].
func (a *acmeCert) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := a.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, errNoCertificate
}

// answer is [tls.Config.GetConfigForClient]. A CA has no client certificate, and
// speaks no protocol of ours.
func (a *acmeCert) answer(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	const protocol = "acme-tls/1"
	if !slices.Contains(hello.SupportedProtos, protocol) {
		return nil, nil
	}
	cert, err := a.LoadChallenge(hello.ServerName)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no CA has been asked to check the name %q", hello.ServerName)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{protocol}, SessionTicketsDisabled: true}, err
}

// start orders and renews until stop.
func (a *acmeCert) start(log *slog.Logger) {
	if a == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	a.cancel, a.ended = cancel, make(chan struct{})
	go a.run(ctx, log.With("tunnel", a.tunnel))
}

// stop returns when it has ended. An order under way is given up.
func (a *acmeCert) stop() {
	if a != nil {
		a.cancel()
		<-a.ended
	}
}

// tryAgain asks for an attempt at once, for example after a reload that fixed the cause.
func (a *acmeCert) tryAgain() {
	if a == nil {
		return
	}
	select {
	case a.again <- struct{}{}:
	default:
	}
}

func (a *acmeCert) run(ctx context.Context, log *slog.Logger) {
	defer close(a.ended)
	for ctx.Err() == nil {
		a.look(ctx, log)
		wait := time.NewTimer(a.nextLook())
		select {
		case <-wait.C:
		case <-a.again:
			a.mayTry()
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// look takes the certificate that is in the file, and orders a new one if it is
// due.
func (a *acmeCert) look(ctx context.Context, log *slog.Logger) {
	a.pickUp(log)
	if cert := a.current.Load(); cert != nil && !a.due(*cert) {
		a.rest(*cert)
		return
	}
	if !a.now().Before(a.nextAttempt()) {
		a.renew(ctx, log)
	}
}

// nextLook is how long to wait for the next look.
func (a *acmeCert) nextLook() time.Duration {
	return min(acmeLook, max(0, a.nextAttempt().Sub(a.now())))
}

func (a *acmeCert) due(cert tls.Certificate) bool {
	return !a.now().Before(pki.RenewAt(cert, a.jitter))
}

// pickUp takes the certificate that is in the file, if it is another one.
func (a *acmeCert) pickUp(log *slog.Logger) {
	cert, err := a.Load(a.now())
	old := a.current.Load()
	if err != nil || old != nil && old.Leaf.Equal(cert.Leaf) {
		return // renew says what is wrong with it
	}
	a.current.Store(&cert)
	log.Info("new certificate", "domains", a.Domains, "expires", cert.Leaf.NotAfter, "fingerprint", dn.Fingerprint(cert.Leaf))
}

// renew gets a new certificate and puts it in the file.
func (a *acmeCert) renew(ctx context.Context, log *slog.Logger) {
	log.Info("asking the CA for a certificate", "directory", a.Directory, "domains", a.Domains)
	limited, cancel := context.WithTimeout(ctx, acmeTimeout)
	defer cancel()
	cert, err := a.order(limited, a.now, a.due, a.answerHTTP)
	if err == nil && a.due(cert) {
		err = errors.New("the CA has issued a certificate that is due for renewal already: check the clock of this machine")
	}
	if err == nil {
		a.pickUp(log)
		a.rest(cert)
		return
	}
	if ctx.Err() != nil {
		return
	}
	in := a.noteFailure(err)
	level := slog.LevelError
	if cert := a.current.Load(); cert != nil && cert.Leaf.NotAfter.Sub(a.now()) > cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/8 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, msgACMEFailed, "err", err, "retry_in", in.Round(time.Second))
}

// noteFailure says how long to wait for the next attempt.
func (a *acmeCert) noteFailure(err error) (in time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	a.failures++
	var left time.Duration
	if cert := a.current.Load(); cert != nil {
		left = cert.Leaf.NotAfter.Sub(now)
	}
	in, asked := pki.RetryIn(a.failures, rand.Float64(), err, left)
	a.failure, a.failedAt, a.next, a.notBefore = err.Error(), now, now.Add(in), time.Time{}
	if asked > 0 {
		a.notBefore = now.Add(asked)
	}
	return in
}

// rest notes that all is well until cert is due.
func (a *acmeCert) rest(cert tls.Certificate) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failures, a.failure, a.notBefore = 0, "", time.Time{}
	a.next = pki.RenewAt(cert, a.jitter)
}

// mayTry allows an attempt now after one that failed, or as early as the CA wants.
func (a *acmeCert) mayTry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures > 0 && a.notBefore.Before(a.next) {
		a.next = a.notBefore
	}
}

func (a *acmeCert) nextAttempt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures == 0 && a.current.Load() == nil || a.failures > 0 && a.now().Before(a.failedAt) {
		return time.Time{} // at once: there is none yet, or the clock was ahead at the failure
	}
	return a.next
}

// answerHTTP listens only as long as a CA is to come.
func (a *acmeCert) answerHTTP(path, body string) (undo func(), err error) {
	l, err := net.Listen(config.Network(a.httpListen), a.httpListen)
	if err != nil {
		return nil, fmt.Errorf("listening on http_listen %q for the challenge: %w: stop the program that has the port, or set http_listen to another one and have port 80 forwarded to it", a.httpListen, err)
	}
	server := &http.Server{ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)}
	server.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Path != path {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/octet-stream")
		_, _ = io.WriteString(w, body)
	})
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	return func() {
		server.Close()
		<-served
	}, nil
}

// certificate is nil when there is none yet.
func (a *acmeCert) certificate() *tls.Certificate {
	if a == nil {
		return nil
	}
	return a.current.Load()
}

func (a *acmeCert) status() *ACMEStatus {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return &ACMEStatus{Directory: a.Directory, Failure: a.failure, Next: a.next, NotBefore: a.notBefore}
}
