// Package tunnel is the data plane: it accepts connections, speaks TLS on one
// side and plain TCP on the other, and moves the bytes.
//
// It knows nothing of files, certificates on disk or the configuration: the caller passes it
// addresses, limits, [tls.Config] values and listeners.
//
//	t := tunnel.New(tunnel.Settings{Name: "pacs", Front: cfg, Targets: ...})
//	go t.Serve(listener)
//	...
//	t.Shutdown(ctx)
//
// The accepted connection is the front, the dialled one the back, in both modes. conn.go shows
// the way of a connection. This is the way of a byte in server mode, there and back:
//
//	peer     sends records of TLS
//	 sock    reads all that has come into a chunk from a pool, up to 192 KiB
//	 tlsio   lets crypto/tls decrypt the records, into a second chunk
//	 relay   counts the bytes, and writes them to the other side
//	 sock    makes one write of them, and the chunks go back to the pool
//	target   reads plain bytes, and answers
//	 sock    reads the answer into a chunk; while nothing comes, nobody holds one
//	 relay   counts the bytes, and writes them to the other side
//	 tlsio   gathers in a second chunk the records that crypto/tls makes of them
//	 sock    makes one write of these; until it is done, nothing more is read
//	peer     gets the answer
package tunnel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/diagnose"
	"tlstunnel/tunnel/pool"
)

// Settings say what a tunnel does. Don't change them after [New].
type Settings struct {
	Name string

	// Front is the TLS config for accepted connections (server mode). With nil they are plain
	// (client mode).
	Front *tls.Config

	// Allow says which peers may connect, by their certificate. A peer needs to match one rule.
	// Without rules, all peers that Front accepts may connect.
	Allow []Rule

	// Own has the server certificates of this machine. A peer with the key of one of them may not
	// connect, unless a rule of Allow names the key: the key is on this machine for another
	// purpose, and may be in each of its backups.
	Own []*x509.Certificate

	// Trusted has the CAs that Front or Targets trust. The log needs them to explain a refused
	// certificate: an x509.CertPool can't be listed. It is empty for the operating system's CAs.
	Trusted []*x509.Certificate

	// RevocationLists are for the certificates of peers in server mode, and of
	// targets in client mode.
	RevocationLists []*RevocationList

	// Targets are tried in order until one accepts the connection. Targets that are down come
	// last.
	Targets []Target

	AllowFrom []netip.Prefix // empty: anybody
	DenyFrom  []netip.Prefix // wins over AllowFrom

	// RequireCloseNotify makes an end of the TLS stream without close_notify an error. From
	// another tlstunnel it always is one.
	RequireCloseNotify bool

	// In server mode, these limits count connections after the handshake. 0: no limit.
	MaxConnections      int
	MaxConnectionsPerIP int // for IPv6, from one /64

	HandshakeTimeout time.Duration // for each handshake, front or back
	ConnectTimeout   time.Duration // for each target
	IdleTimeout      time.Duration // without progress in either direction; 0: never
	HalfCloseTimeout time.Duration // without progress after one direction has ended
	Keepalive        time.Duration // idle time before a TCP keepalive probe; 0: off

	Logger *slog.Logger
}

// A Target is where connections go to.
type Target struct {
	Address string // host:port, resolved anew for each connection

	// TLS is the TLS config for the target (client mode), complete with ServerName. With nil the
	// connection is plain.
	TLS *tls.Config
}

// A Tunnel serves connections from one or more listeners to its targets.
type Tunnel struct {
	settings atomic.Pointer[settings]
	stats    counters
	failures failures
	outdated sampler
	strange  *logLimiter // see limiterFor
	refusals *logLimiter
	relayed  *logLimiter

	live      live
	returning *recent // origins of peers that were here before

	// rejected and answered are the reasons of [Tunnel.closeLingering].
	rejected, answered lingering

	// setup ends when the tunnel begins to stop: then connections that don't relay yet give up.
	setup     context.Context
	stopSetup context.CancelCauseFunc

	stateTimer *time.Timer // calls checkStates

	targets *pool.Pool // the targets of the settings

	running sync.WaitGroup // Serve calls, connections and attempts to reach a target

	mu      sync.Mutex // guards what follows
	stopped bool
	ports   []*port
}

// settings are Settings ready for use. A connection keeps the settings that it began with.
type settings struct {
	Settings
	allow  []rule
	log    *slog.Logger
	dialer net.Dialer

	addresses map[string]*pool.Pool // the addresses of each target whose host name has several
}

// New returns a tunnel that does as s says once [Tunnel.Serve] is called.
func New(s Settings) *Tunnel {
	returning := &recent{size: maxReturning}
	t := &Tunnel{
		live: live{
			conns:       make(map[uint64]*conn),
			handshakes:  pending{groups: make(map[netip.Prefix]*group), returning: returning},
			countedFrom: make(map[netip.Prefix]int),
		},
		returning: returning,
		rejected:  newLingering(lingerBytes),
		answered:  newLingering(maxDiscarded),
		targets:   pool.New(time.Now),
	}
	t.setup, t.stopSetup = context.WithCancelCause(context.Background())
	t.strange = newLogLimiter(ofStrangers, t.logSummaries)
	t.refusals = newLogLimiter(ofStrangers, t.logSummaries)
	t.relayed = newLogLimiter(ofRelayed, t.logSummaries)
	t.stateTimer = time.AfterFunc(time.Hour, t.checkStates)
	t.stateTimer.Stop() // the first connection starts it
	t.Apply(s)
	return t
}

// Apply makes s the settings of new connections. It ends open connections whose certificate is
// revoked in s. Session tickets and sessions belong to the TLS configs of s. So if s has new TLS
// configs, no session outlives the trust that it was made under.
func (t *Tunnel) Apply(s Settings) {
	next := &settings{
		Settings: s,
		log:      s.Logger.With("tunnel", s.Name),
		dialer:   net.Dialer{KeepAlive: -1},
	}
	if s.Front != nil {
		next.Front = s.Front.Clone() // with keys of its own for session tickets
		demandStrength(next.Front)
		limitTickets(next.Front, time.Now)
		next.Front.GetConfigForClient = noteHello(next.Front)
	}
	next.Targets = slices.Clone(s.Targets)
	for i, target := range s.Targets {
		if target.TLS != nil {
			next.Targets[i].TLS = noteRequest(target.TLS)
			demandStrength(next.Targets[i].TLS)
		}
	}
	for _, r := range s.Allow {
		next.allow = append(next.allow, newRule(r))
	}
	t.keepTargets(next)
	t.settings.Store(next)
	t.failures.forget()
	t.abortRevoked(next)
}

// Shutdown closes the listeners and the connections that don't relay yet. It waits for the
// others until ctx is done, then closes those too. It returns after the last connection has
// ended, with ctx's error if it had to close any.
func (t *Tunnel) Shutdown(ctx context.Context) error {
	t.stopSetup(&stopCause{diagnose.New("tlstunnel.stopping")}) // first: so a port knows that we closed its listener
	t.mu.Lock()
	t.stopped = true
	for _, p := range t.ports {
		p.listener.Close()
	}
	t.mu.Unlock()

	drained := make(chan struct{})
	go func() {
		t.running.Wait()
		close(drained)
	}()
	var err error
	select {
	case <-drained:
	case <-ctx.Done():
		for _, r := range t.live.relays() {
			err = ctx.Err()
			t.end(r.conn, &stopCause{diagnose.New("tlstunnel.grace_over")})
		}
	}
	<-drained
	t.strange.stop()
	t.refusals.stop()
	t.relayed.stop()
	return err
}
