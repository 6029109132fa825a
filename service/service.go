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
	failed  chan error // of a listener that somebody else closed
	files   *fileWatch
	crls    *fileWatch // these always, as a certificate is revoked at once

	lookSoon    chan struct{} // asks for a look after the certificates
	clockOffset func() time.Duration

	serving, draining sync.WaitGroup
	stopping          atomic.Bool

	logged     config.Log       // what the log was opened with; a reload doesn't change it
	logControl *logging.Control // nil if nobody can set the level

	renewalFailures int // in a row; supervise alone uses it

	madePKI atomic.Bool // whether our own PKI could be opened since the start

	// For supervise alone: see tryLeftOut.
	trials  chan trial
	reading map[*leftOut]bool

	// changing is held through whatever changes the tunnels, however long it
	// takes: a reload, a refresh, a new attempt, a stop. See begin. It guards what follows.
	changing sync.Mutex
	cfg      *config.Config
	tunnels  []*running     // in the order of the config
	warned   map[string]int // the day-mark of the last warning, by fingerprint

	// What everybody else reads, without waiting for anybody: see update.
	updating sync.Mutex
	shown    atomic.Pointer[view]
}

// running is a tunnel of the config with its socket, or one that is left out.
type running struct {
	compile.Prepared
	tunnel   *tunnel.Tunnel // nil while it is left out
	listener net.Listener   // likewise
	out      *leftOut       // nil while it isn't
}

// Run starts the tunnels of cfg and serves until ctx is done; then it stops them
// and returns nil. It reloads when asked to by a signal, the host, the control
// channel or a change of the files, and tries again what is left out. An error
// means that a listener ended by itself.
func Run(ctx context.Context, cfg *config.Config, log *slog.Logger, host Host) error {
	signals, stopSignals := reloadSignals() // first: by itself SIGHUP would end the process
	defer stopSignals()
	s, err := Start(ctx, cfg, log)
	if errors.Is(err, context.Canceled) {
		return nil // told to stop before there was anything to stop
	}
	if err != nil {
		return err
	}
	s.logControl = host.Log
	control := s.serveControl()
	defer control.Close() // at the end, so that it can say that we are stopping
	defer s.Stop()
	log.Info(msgStarted, "version", version.Version, "config", cfg.File, "tunnels", len(cfg.Tunnels), "left_out", s.leftOutNames())
	s.notify(notifyReady)
	defer s.notify(notifyStopping)
	if host.Ready != nil {
		host.Ready()
	}
	return s.supervise(ctx, signals, host.Reload)
}

// Start makes the PKI if there is none, reads what cfg names, and opens the
// listeners. A tunnel whose files or address aren't as they must be is left out,
// alone, and tried again. An error means that cfg has a mistake, or that ctx is
// done. The caller must call [Service.Stop].
func Start(ctx context.Context, cfg *config.Config, log *slog.Logger) (*Service, error) {
	if err := cfg.Err(); err != nil {
		return nil, err
	}
	log.Info("starting", "version", version.Version, "config", cfg.File, "pki", cfg.PKI.Dir)
	s := &Service{log: log, started: time.Now(), failed: make(chan error, 1), lookSoon: make(chan struct{}, 1), clockOffset: clockOffset, files: newFileWatch(log), crls: newFileWatch(log), cfg: cfg, logged: cfg.Log}
	s.trials, s.reading = make(chan trial), make(map[*leftOut]bool)
	s.shown.Store(&view{cfg: cfg})
	for _, t := range cfg.Tunnels {
		s.tunnels = append(s.tunnels, &running{Prepared: compile.Prepared{Config: t}, out: &leftOut{}})
	}
	store, err := s.ownPKI(ctx, cfg)
	if errors.Is(err, context.Canceled) {
		return nil, err
	}
	s.crls.follow(crlsOf(cfg)) // before they are read, so that no change is missed
	if err := s.apply(ctx, prepareAll(cfg, store, err, log)); err != nil {
		return nil, err // never: what is left out already may stay so
	}
	return s, nil
}

// supervise serves until ctx is done or a listener ends by itself. A signal asks
// for a reload, and so does the host.
func (s *Service) supervise(ctx context.Context, signals <-chan os.Signal, asked <-chan string) error {
	watchdog := newWatchdog()
	defer watchdog.Stop()
	look := time.NewTimer(0)
	defer look.Stop()
	clock := newClockWatch(s.clockOffset)
	memory, lookAtMemory := tuning.NewMemory(), time.NewTicker(tuning.MemoryInterval)
	defer lookAtMemory.Stop()
	again := time.NewTimer(0)
	defer again.Stop()
	for {
		again.Reset(s.nextAttempt(time.Now()))
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
		case <-again.C:
			s.tryLeftOut(ctx, time.Now())
		case t := <-s.trials:
			s.finishTrial(ctx, t, time.Now())
		case <-look.C:
			s.lookAfterCertificates(ctx, time.Now())
			look.Reset(s.nextLook(time.Now()))
		case <-s.lookSoon:
			look.Reset(0)
		case <-lookAtMemory.C:
			memory.Look()
			if clock.jumped() {
				s.forgetFailures()
				look.Reset(0)
			}
		case <-watchdog.C:
			s.notify(notifyAlive)
		}
	}
}

// ownPKI makes what is missing of our own PKI, until that has succeeded once,
// and opens it.
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

// Addr is where the named tunnel listens, nil if there is no such tunnel, or it is
// left out.
func (s *Service) Addr(name string) net.Addr {
	for _, r := range s.shown.Load().tunnels {
		if r.Config.Name == name && r.listener != nil {
			return r.listener.Addr()
		}
	}
	return nil
}

// Stop closes the listeners, gives the connections shutdown_grace to end, closes
// the others, and returns when everything has stopped.
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

// begin takes changing and reports whether it has: not when the service stops,
// which may take long.
func (s *Service) begin() bool {
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
