package acme

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/dn"
)

const (
	lookEvery    = time.Minute      // between two looks at the file, which another machine may have renewed
	orderTimeout = 10 * time.Minute // for one order, or the wait for the order of another machine
)

// Messages of the log of a [Source].
const (
	MsgOrdering = "asking the CA for a certificate"
	MsgNew      = "new certificate"
	MsgFailed   = "no new certificate, the CA is asked again later"
)

// Source is the certificate of a tunnel that a CA issues: it orders and renews the
// certificate, and hands it out. As nil it does nothing. Several goroutines may use it.
type Source struct {
	Settings
	listen func() (net.Listener, error) // for http-01
	jitter float64                      // as in [RenewAt]

	now   func() time.Time
	order func(context.Context, func() time.Time, func(tls.Certificate) bool, HTTPAnswerer) (tls.Certificate, error) // [Settings.Renew]

	current atomic.Pointer[tls.Certificate] // nil: none yet

	tryNow chan struct{} // asks for an attempt at once
	cancel context.CancelFunc
	ended  chan struct{}

	mu        sync.Mutex // guards the fields below
	failures  int        // in a row
	failure   string     // the text of the last failure
	code      string     // the code of the last failure
	failedAt  time.Time  // the time of the last failure
	next      time.Time  // the next attempt
	notBefore time.Time  // the CA demands no attempt earlier
}

// Status is the status of a [Source] and its orders.
type Status struct {
	Directory string    `json:"directory"`
	Failure   string    `json:"failure,omitempty"`   // of the last attempt
	Code      string    `json:"code,omitempty"`      // of the last failure
	Next      time.Time `json:"next,omitzero"`       // the next attempt or renewal
	NotBefore time.Time `json:"not_before,omitzero"` // after a failure, the CA demands no attempt earlier, not even by a reload
}

// NewSource returns a source that hasn't read or ordered anything yet. With http-01 it calls
// listen for each challenge; the CA connects to port 80 of the domains.
func NewSource(settings Settings, listen func() (net.Listener, error)) *Source {
	s := &Source{Settings: settings, listen: listen, jitter: rand.Float64(), now: time.Now, tryNow: make(chan struct{}, 1)}
	s.order = s.Renew
	return s
}

// Terms returns the settings of the source.
func (s *Source) Terms() Settings {
	if s == nil {
		return Settings{}
	}
	return s.Settings
}

// Read reads the certificate that was issued last, as [Settings.Load] does, and hands it out
// from now on, even if its dates are wrong: the peer decides about them.
func (s *Source) Read(now time.Time) (tls.Certificate, error) {
	cert, err := s.Load(now)
	if cert.Leaf != nil {
		s.current.Store(&cert)
	}
	return cert, err
}

// ErrNone is the error of a handshake while there is no certificate.
var ErrNone = errors.New("there is no certificate from the CA yet (acme): the log and `tlstunnel status` say why")

// GetCertificate is for the field of that name in [tls.Config].
func (s *Source) GetCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if cert := s.current.Load(); cert != nil {
		return cert, nil
	}
	return nil, ErrNone
}

// GetConfigForClient is for the field of that name in [tls.Config]. It answers a CA that checks
// a domain: a CA has no client certificate, and uses another application protocol than ours.
func (s *Source) GetConfigForClient(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	const alpn = "acme-tls/1" // RFC 8737
	if !slices.Contains(hello.SupportedProtos, alpn) {
		return nil, nil
	}
	cert, err := s.LoadChallenge(hello.ServerName)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("no CA has been asked to check the name %q", hello.ServerName)
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{cert}, NextProtos: []string{alpn}, SessionTicketsDisabled: true}, err
}

// Start orders and renews until [Source.Stop].
func (s *Source) Start(log *slog.Logger) {
	if s == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan struct{})
	go s.run(ctx, log)
}

// Stop gives up an order that is under way, and returns when the source has stopped.
func (s *Source) Stop() {
	if s != nil {
		s.cancel()
		<-s.ended
	}
}

// TryAgain asks for an attempt at once, for example after a reload that fixed the cause.
func (s *Source) TryAgain() {
	if s == nil {
		return
	}
	select {
	case s.tryNow <- struct{}{}:
	default:
	}
}

func (s *Source) run(ctx context.Context, log *slog.Logger) {
	defer close(s.ended)
	for ctx.Err() == nil {
		s.look(ctx, log)
		wait := time.NewTimer(s.nextLook())
		select {
		case <-wait.C:
		case <-s.tryNow:
			s.mayTry()
		case <-ctx.Done():
		}
		wait.Stop()
	}
}

// pickUp loads the certificate from the file, if it is a new one.
func (s *Source) pickUp(log *slog.Logger) {
	cert, err := s.Load(s.now())
	old := s.current.Load()
	if err != nil || old != nil && old.Leaf.Equal(cert.Leaf) {
		return // renew reports the error
	}
	s.current.Store(&cert)
	log.Info(MsgNew, "domains", s.Domains, "expires", cert.Leaf.NotAfter.Local(), "fingerprint", dn.Fingerprint(cert.Leaf))
}

// renew gets a new certificate and puts it in the file.
func (s *Source) renew(ctx context.Context, log *slog.Logger) {
	log.Info(MsgOrdering, "directory", s.Directory, "domains", s.Domains)
	limited, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	cert, err := s.order(limited, s.now, s.due, s.answerHTTP)
	if err == nil && s.due(cert) {
		err = errors.New("the CA has issued a certificate that is due for renewal already: check the clock of this machine")
	}
	if err == nil {
		s.pickUp(log)
		s.noteSuccess(cert)
		return
	}
	if ctx.Err() != nil {
		return
	}
	in := s.noteFailure(err)
	level := slog.LevelError
	if cert := s.current.Load(); cert != nil && cert.Leaf.NotAfter.Sub(s.now()) > cert.Leaf.NotAfter.Sub(cert.Leaf.NotBefore)/8 {
		level = slog.LevelWarn
	}
	log.Log(ctx, level, MsgFailed, "code", codeOf(err), "err", err, "retry_in", in.Round(time.Second))
}

// Certificate returns the current certificate, nil if there is none yet.
func (s *Source) Certificate() *tls.Certificate {
	if s == nil {
		return nil
	}
	return s.current.Load()
}

// Status returns the status, nil for a nil Source.
func (s *Source) Status() *Status {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return &Status{Directory: s.Directory, Failure: s.failure, Code: s.code, Next: s.next, NotBefore: s.notBefore}
}
