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

	"tlstunnel/pki"
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

	current atomic.Pointer[tls.Certificate] // nil: none yet

	again  chan struct{} // asks to try again at once
	cancel context.CancelFunc
	ended  chan struct{}

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	failure  string     // the last one
	next     time.Time  // of the next attempt
	held     bool       // as the CA has named the time
}

// ACMEStatus is how a tunnel got on with its CA.
type ACMEStatus struct {
	Directory string    `json:"directory"`
	Failure   string    `json:"failure,omitempty"` // of the last attempt
	Next      time.Time `json:"next,omitzero"`     // attempt or renewal
}

// getByACME makes c show the certificate of the tunnel's CA, and answer that CA.
// The certificate isn't in the digest: a new one is shown by the same settings.
func (tr *translator) getByACME(c *tls.Config) {
	t := tr.tunnel.ACME
	a := &acmeCert{
		ACME: pki.ACME{
			Dir: tr.cfg.PKI.Dir, KeyType: tr.cfg.PKI.KeyType,
			Directory: t.Directory, DirectoryCA: t.DirectoryCA, Email: t.Email, Domains: t.Domains, Challenge: t.Challenge,
			EABKid: t.EABKid, EABKeyFile: t.EABKeyFile,
		},
		tunnel: tr.tunnel.Name, httpListen: t.HTTPListen, again: make(chan struct{}, 1),
	}
	fmt.Fprintf(tr.digest, "%+v", a.ACME)
	tr.acme = a
	c.GetCertificate, c.GetConfigForClient = a.get, a.answer
	if t.DirectoryCA != "" {
		if _, err := pki.LoadCertificates(t.DirectoryCA); err != nil {
			tr.problem("acme.directory_ca", err.Error())
		}
	}
	if err := a.CheckEAB(); err != nil {
		tr.problem("acme.eab_key_file", err.Error())
	}
	switch cert, err := a.Load(tr.now); {
	case err == nil:
		a.current.Store(&cert)
	case errors.Is(err, fs.ErrNotExist):
		tr.warn("acme", "there is no certificate from the CA yet: tlstunnel orders it when it runs, and until it is there, nobody can connect")
	default:
		tr.warn("acme", err.Error())
	}
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

// tryAgain is for who has mended what the last attempt failed of.
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
	jitter := rand.Float64()
	due := func(cert tls.Certificate) bool { return !time.Now().Before(pki.RenewAt(cert, jitter)) }
	for ctx.Err() == nil {
		a.pickUp(log)
		if cert := a.current.Load(); cert != nil && !due(*cert) {
			a.rest("", pki.RenewAt(*cert, jitter))
		} else if !time.Now().Before(a.nextAttempt()) {
			a.renew(ctx, due, log)
			continue
		}
		wait := time.NewTimer(min(acmeLook, max(0, time.Until(a.nextAttempt()))))
		select {
		case <-wait.C:
		case <-a.again:
			a.mayTry()
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// pickUp takes the certificate that is in the file, if it is another one.
func (a *acmeCert) pickUp(log *slog.Logger) {
	cert, err := a.Load(time.Now())
	old := a.current.Load()
	if err != nil || old != nil && old.Leaf.Equal(cert.Leaf) {
		return // renew says what is wrong with it
	}
	a.current.Store(&cert)
	log.Info("new certificate", "domains", a.Domains, "expires", cert.Leaf.NotAfter, "fingerprint", pki.Fingerprint(cert.Leaf))
}

// renew gets a new certificate and puts it in the file.
func (a *acmeCert) renew(ctx context.Context, due func(tls.Certificate) bool, log *slog.Logger) {
	log.Info("asking the CA for a certificate", "directory", a.Directory, "domains", a.Domains)
	limited, cancel := context.WithTimeout(ctx, acmeTimeout)
	defer cancel()
	cert, err := a.Renew(limited, time.Now, due, a.answerHTTP)
	if err == nil && due(cert) {
		err = errors.New("the CA has issued a certificate that is due for renewal already: check the clock of this machine")
	}
	if err == nil || ctx.Err() != nil {
		return
	}
	a.mu.Lock()
	a.failures++
	in := pki.RetryIn(a.failures, rand.Float64(), err)
	refusal, ok := errors.AsType[*pki.ACMEError](err)
	a.held = ok && refusal.RetryAfter > 0
	a.mu.Unlock()
	a.rest(err.Error(), time.Now().Add(in))

	level := slog.LevelError
	if cert := a.current.Load(); cert != nil && time.Until(cert.Leaf.NotAfter) > cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/8 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, msgACMEFailed, "err", err, "retry_in", in.Round(time.Second))
}

// rest notes how the last attempt went, "" being well, and when the next one is.
func (a *acmeCert) rest(failure string, next time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.failure, a.next = failure, next
	if failure == "" {
		a.failures = 0
	}
}

// mayTry allows an attempt now, after one that failed, unless the CA has named a
// time.
func (a *acmeCert) mayTry() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures > 0 && !a.held {
		a.next = time.Time{}
	}
}

func (a *acmeCert) nextAttempt() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.failures == 0 && a.current.Load() == nil {
		return time.Time{}
	}
	return a.next
}

// answerHTTP listens only as long as a CA is to come.
func (a *acmeCert) answerHTTP(path, body string) (undo func(), err error) {
	l, err := net.Listen("tcp", a.httpListen)
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
	return &ACMEStatus{Directory: a.Directory, Failure: a.failure, Next: a.next}
}
