// Package service is the daemon: it turns a config file into running tunnels,
// makes the PKI on the first run, reloads without dropping a connection, answers
// on the control channel, and stops everything in order.
//
//	cfg, problems, err := config.Load(file)
//	control := new(logging.Control)
//	log, closeLog := logging.Open(cfg.Log, control, os.Stderr, false, service.Messages)
//	defer closeLog()
//	err = service.Run(ctx, cfg, log, service.Host{Log: control})
package service

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/config"
	"tlstunnel/internal/dn"
	"tlstunnel/internal/logging"
	"tlstunnel/internal/ownpki"
	"tlstunnel/internal/tuning"
	"tlstunnel/internal/version"
	"tlstunnel/pki"
	"tlstunnel/service/compile"
	"tlstunnel/tunnel"
)

// Service is a set of running tunnels. Its methods may be called by several
// goroutines.
type Service struct {
	log     *slog.Logger
	started time.Time
	failed  chan error // from a listener that ended by itself
	files   *fileWatch
	crls    *fileWatch // watched even with watch = false: a revocation takes effect at once

	checkCertsNow chan struct{} // asks supervise for checkCertificates at once
	clockOffset   func() time.Duration

	serving, draining sync.WaitGroup
	stopping          atomic.Bool

	logged     config.Log       // the settings that the log was opened with; a reload doesn't change them
	logControl *logging.Control // nil if the level can't be set

	renewalFailures int // in a row; supervise alone uses it

	madePKI atomic.Bool // whether our own PKI could be opened since the start

	// Only supervise uses these: see retryLeftOut.
	rereads chan reread
	reading map[*leftOut]bool

	// changing is held during each change of the tunnels, however long it takes: a reload, a
	// refresh, a new attempt, a stop. See lockUnlessStopping. It guards the fields below.
	changing sync.Mutex
	cfg      *config.Config
	tunnels  []*running     // in the order of the config
	warned   map[string]int // the expiry mark of the last warning, by fingerprint

	// All other goroutines read the snapshot, and never wait for changing: see update.
	updating sync.Mutex
	current  atomic.Pointer[snapshot]
}

// running is a tunnel of the config: it runs, or it is left out.
type running struct {
	compile.Prepared
	tunnel   *tunnel.Tunnel // nil if it is left out
	listener net.Listener   // nil if it is left out
	out      *leftOut       // why it is left out, nil if it runs
}

// Run starts the tunnels of cfg and serves until ctx is done. Then it stops them and returns
// nil. It reloads if a signal, the host, the control channel or a change of the files asks for
// it, and retries tunnels that are left out. An error means that a listener ended by itself.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger, host Host) error {
	signals, stopSignals := reloadSignals() // first: without a handler SIGHUP ends the process
	defer stopSignals()
	s, err := Start(ctx, cfg, log)
	if errors.Is(err, context.Canceled) {
		return nil // ctx was done before anything ran
	}
	if err != nil {
		return err
	}
	s.logControl = host.Log
	control := s.serveControl()
	defer control.Close() // after Stop, so that a status can say that we are stopping
	defer s.Stop()
	log.Info(msgStarted, "version", version.Version, "config", cfg.File, "tunnels", len(cfg.Tunnels), "left_out", s.leftOutNames())
	s.notify(notifyReady)
	defer s.notify(notifyStopping)
	if host.Ready != nil {
		host.Ready()
	}
	return s.supervise(ctx, signals, host.Reload)
}

// Start makes the PKI if there is none, reads the files that cfg names, and opens the
// listeners. If the files or the address of a tunnel can't be used, that tunnel alone is left
// out and tried again. An error means that cfg has a mistake, or that ctx is done. The caller
// must call [Service.Stop].
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Service, error) {
	if err := cfg.Err(); err != nil {
		return nil, err
	}
	log.Info("starting", "version", version.Version, "config", cfg.File, "pki", cfg.PKI.Dir)
	s := &Service{log: log, started: time.Now(), failed: make(chan error, 1), checkCertsNow: make(chan struct{}, 1), clockOffset: clockOffset, files: newFileWatch(log), crls: newFileWatch(log), cfg: cfg, logged: cfg.Log}
	s.rereads, s.reading = make(chan reread), make(map[*leftOut]bool)
	s.current.Store(&snapshot{cfg: cfg})
	for _, t := range cfg.Tunnels {
		s.tunnels = append(s.tunnels, &running{Prepared: compile.Prepared{Config: t}, out: &leftOut{}})
	}
	store, err := s.ownPKI(ctx, cfg)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	s.crls.follow(crlsOf(cfg)) // before they are read, so that no change is missed
	if err := s.apply(ctx, prepareAll(cfg, store, err, log)); err != nil {
		return nil, err // never happens: a tunnel that is left out already may stay left out
	}
	return s, nil
}

// supervise serves until ctx is done or a listener ends by itself. A signal asks
// for a reload, and so does the host.
func (s *Service) supervise(ctx context.Context, signals <-chan os.Signal, asked <-chan string) error {
	watchdog := newWatchdog()
	defer watchdog.Stop()
	certCheck := time.NewTimer(0)
	defer certCheck.Stop()
	clock := newClockWatch(s.clockOffset)
	memory, lookAtMemory := tuning.NewMemory(), time.NewTicker(tuning.MemoryInterval)
	defer lookAtMemory.Stop()
	retry := time.NewTimer(0)
	defer retry.Stop()
	for {
		retry.Reset(s.nextAttempt(time.Now()))
		select {
		case <-ctx.Done():
			return nil
		case err := <-s.failed:
			return err
		case <-signals:
			s.reloadLogged(ctx, "signal")
		case cause := <-asked:
			s.reloadLogged(ctx, cause)
		case <-s.files.changed:
			s.reloadLogged(ctx, "files changed")
		case <-s.crls.changed:
			s.crlsChanged(ctx)
		case <-retry.C:
			s.retryLeftOut(ctx, time.Now())
		case t := <-s.rereads:
			s.finishRetry(ctx, t, time.Now())
		case <-certCheck.C:
			s.checkCertificates(ctx, time.Now())
			certCheck.Reset(s.nextCertCheck(time.Now()))
		case <-s.checkCertsNow:
			certCheck.Reset(0)
		case <-lookAtMemory.C:
			memory.Look()
			if clock.jumped() {
				s.retryRenewalNow()
				certCheck.Reset(0)
			}
		case <-watchdog.C:
			s.notify(notifyAlive)
		}
	}
}

// ownPKI opens our own PKI. Until that has succeeded once, it first makes the missing files.
func (s *Service) ownPKI(ctx context.Context, cfg *config.Config) (*pki.Store, error) {
	if s.madePKI.Load() {
		return pki.Open(cfg.PKI.Dir, time.Now())
	}
	store, created, err := ownpki.First(ctx, cfg)
	if err != nil {
		return store, err
	}
	s.madePKI.Store(true)
	if len(created) > 0 {
		s.log.Warn("made a new CA or server certificate; keep ca.key safe, and give clients ca.crt", "ca", dn.Fingerprint(store.CA), "files", created)
	}
	return store, nil
}

// Addr returns where the named tunnel listens. It is nil if there is no such tunnel, or if it
// is left out.
func (s *Service) Addr(name string) net.Addr {
	for _, r := range s.current.Load().tunnels {
		if r.Config.Name == name && r.listener != nil {
			return r.listener.Addr()
		}
	}
	return nil
}

// Stop closes the listeners, gives the connections shutdown_grace to end, closes the
// remaining ones, and returns when everything has stopped.
func (s *Service) Stop() {
	s.stopping.Store(true)
	s.changing.Lock()
	defer s.changing.Unlock()
	s.log.Info("stopping", "shutdown_grace", s.cfg.ShutdownGrace)
	s.files.close()
	s.crls.close()
	for _, r := range s.tunnels {
		s.drain(r)
	}
	s.draining.Wait()
	s.serving.Wait()
	s.log.Info(msgStopped)
}

// lockUnlessStopping locks changing and returns true. If the service is stopping it returns
// false at once: Stop may hold changing for long.
func (s *Service) lockUnlessStopping() bool {
	if s.stopping.Load() {
		return false
	}
	s.changing.Lock()
	if s.stopping.Load() {
		s.changing.Unlock()
		return false
	}
	return true
}

// drain stops r in the background, within shutdown_grace.
func (s *Service) drain(r *running) {
	if r.tunnel == nil {
		return
	}
	grace, cancel := context.WithTimeout(context.Background(), s.cfg.ShutdownGrace)
	s.draining.Go(func() {
		defer cancel()
		r.ACME.Stop()
		if err := r.tunnel.Shutdown(grace); err != nil {
			s.log.Warn("shutdown_grace was over before all connections had ended", "tunnel", r.Config.Name)
		}
		n := r.tunnel.Stats()
		s.log.Info("tunnel stopped", "tunnel", r.Config.Name,
			"completed", n.Completed, "interrupted", n.Interrupted, "refused", n.Refused,
			"handshake_failed", n.HandshakeFailed, "target_failed", n.TargetFailed,
			"no_close_notify", n.NoCloseNotify, "to_target", n.ToTarget, "to_peer", n.ToPeer)
	})
}
