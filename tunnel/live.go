package tunnel

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"tlstunnel/internal/diagnose"
)

// live is the registry of a tunnel's connections, and the only list of them. A connection is in
// it from accept to its log line. Limits, status, checkStates, revocation and Shutdown use it.
type live struct {
	mu    sync.Mutex // guards the fields below, and setup, giveUp and relaying of each connection
	conns map[uint64]*conn

	handshakes pending // the connections that are in their handshake (server mode)
	// How many connections max_connections and max_connections_per_ip count.
	counted     int
	countedFrom map[netip.Prefix]int // no origin has 0

	toTarget, toPeer int64 // bytes of ended connections
}

// lastID is the number of the newest connection of the process.
var lastID atomic.Uint64

// step is the step that a connection has reached.
type step int32

const (
	stepAccepted step = iota
	stepHandshake
	stepAuthorize
	stepDial
	stepRelay
	stepClosing
)

func (s step) String() string {
	return [...]string{"accepted", "handshake", "authorize", "dial", "relay", "closing"}[s]
}

// A Connection describes an open connection of a tunnel at the moment of the call.
type Connection struct {
	ID       uint64         `json:"id"` // unique within this process
	Tunnel   string         `json:"tunnel"`
	Step     string         `json:"step"` // accepted, handshake, authorize, dial, relay or closing
	Peer     netip.AddrPort `json:"peer"`
	Target   string         `json:"target,omitempty"` // the target that was dialled last
	Since    time.Time      `json:"since"`            // the time of accept
	ToTarget int64          `json:"to_target"`        // bytes
	ToPeer   int64          `json:"to_peer"`          // bytes
}

// Connections returns the tunnel's connections, in no order. It may be called at any time, and
// no connection waits for it.
func (t *Tunnel) Connections() []Connection {
	t.live.mu.Lock()
	defer t.live.mu.Unlock()
	all := make([]Connection, 0, len(t.live.conns))
	for _, c := range t.live.conns {
		all = append(all, Connection{
			ID: c.id, Tunnel: c.settings.Name, Step: step(c.step.Load()).String(),
			Peer: c.peer, Target: c.targetAddress(), Since: c.accepted,
			ToTarget: c.toBack.Load(), ToPeer: c.toFront.Load(),
		})
	}
	return all
}

// End ends the connection with this ID, whatever it is doing: both sides see a reset. It
// returns false if there is no such connection. It doesn't wait for the end.
func (t *Tunnel) End(id uint64) bool {
	t.live.mu.Lock()
	c := t.live.conns[id]
	t.live.mu.Unlock()
	if c != nil {
		t.end(c, &stopCause{diagnose.New("tlstunnel.ended")})
	}
	return c != nil
}

// stopCause is the reason why tlstunnel ended a connection that could have gone on.
type stopCause struct{ diagnose.Diagnosis }

func (why *stopCause) Error() string { return why.String() }

// stopped returns how c ends if it was told to give up before it relays, otherwise nil.
func (c *conn) stopped(at outcome) *ending {
	if why, ok := context.Cause(c.setup).(*stopCause); ok {
		return &ending{at, why.Diagnosis, nil}
	}
	return nil
}

// end makes c give up its present step or its relay. If c is closing, end does nothing.
func (t *Tunnel) end(c *conn, why *stopCause) {
	t.live.mu.Lock()
	r := c.relaying
	if r == nil && c.giveUp != nil { // else it has closed meanwhile
		c.giveUp(why)
	}
	t.live.mu.Unlock()
	if r != nil {
		r.abort(&ending{interrupted, why.Diagnosis, nil})
	}
}

// register adds c to the registry. The caller must call unregister later.
func (t *Tunnel) register(c *conn) {
	t.running.Add(1)
	c.id = lastID.Add(1)
	c.setup, c.giveUp = context.WithCancelCause(t.setup)
	t.live.mu.Lock()
	defer t.live.mu.Unlock()
	if t.live.conns[c.id] = c; len(t.live.conns) == 1 {
		t.stateTimer.Reset(t.stateInterval())
	}
}

// unregister undoes register, admit and enforceLimits.
func (t *Tunnel) unregister(c *conn) {
	defer t.running.Done()
	l := &t.live
	l.mu.Lock()
	defer l.mu.Unlock()
	l.endSetup(c)
	delete(l.conns, c.id)
	if c.counted {
		l.counted--
		if l.countedFrom[c.origin]--; l.countedFrom[c.origin] == 0 {
			delete(l.countedFrom, c.origin)
		}
	}
	l.toTarget += c.toBack.Load()
	l.toPeer += c.toFront.Load()
}

// beginRelay registers r as the relay of its connection. It checks again what may have changed
// since the connection was admitted.
func (t *Tunnel) beginRelay(r *relaying) {
	t.live.mu.Lock()
	end := r.stopped(interrupted)
	r.relaying = r
	r.step.Store(int32(stepRelay))
	t.live.endSetup(r.conn)
	t.live.mu.Unlock()
	if end != nil {
		r.abort(end)
	}
	r.abortIfRevoked(t.settings.Load())
}

// endSetup frees what c needs only before it relays. The caller holds mu.
func (l *live) endSetup(c *conn) {
	l.handshakes.remove(c)
	if c.giveUp != nil {
		c.giveUp(nil)
		c.setup, c.giveUp = nil, nil
	}
}

// relays are the connections that relay.
func (l *live) relays() (all []*relaying) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range l.conns {
		if step(c.step.Load()) == stepRelay {
			all = append(all, c.relaying)
		}
	}
	return all
}

// sum returns the number of connections, and the bytes of these and all earlier ones.
func (l *live) sum() (conns, toTarget, toPeer int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	toTarget, toPeer = l.toTarget, l.toPeer
	for _, c := range l.conns {
		toTarget += c.toBack.Load()
		toPeer += c.toFront.Load()
	}
	return int64(len(l.conns)), toTarget, toPeer
}

func (l *live) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.conns)
}
