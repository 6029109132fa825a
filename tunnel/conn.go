package tunnel

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"

	"tlstunnel/internal/sock"
)

// conn is one connection through a tunnel, from accept to its log line.
type conn struct {
	settings *settings
	peer     netip.AddrPort
	origin   netip.Prefix // of the peer
	accepted time.Time
	admitted bool
	counted  bool // for max_connections

	// See live.
	id       uint64
	step     atomic.Int32
	setup    context.Context // until c relays; it ends with that of the tunnel, or by giveUp
	giveUp   context.CancelCauseFunc
	pending  *list.Element // in server mode, while its peer has proved nothing
	relaying *relaying     // once it does

	front *side
	back  *side // nil until dialled

	target    atomic.Pointer[Target] // the one that was dialled last
	failed    []string               // the targets that failed, and why
	session   *tls.ConnectionState
	allowedBy string // the rule that let the peer in, if any
	handshake time.Duration

	toBack, toFront atomic.Int64 // bytes relayed
}

// newConn returns the conn of an accepted connection. The caller passes it to serveConn.
func (t *Tunnel) newConn(accepted *sock.Conn) *conn {
	c := &conn{
		settings: t.settings.Load(),
		accepted: time.Now(),
		front:    newSide(accepted, byPeer),
	}
	accepted.KeepAlive(c.settings.Keepalive)
	c.peer = addrPort(accepted.RemoteAddr())
	c.origin = origin(c.peer.Addr())
	t.register(c)
	return c
}

// addrPort returns the zero value if addr isn't a TCP address. It returns an IPv4-mapped IPv6
// address as IPv4.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// targetAddress returns the address of the last target, "" before c has dialled.
func (c *conn) targetAddress() string {
	if target := c.target.Load(); target != nil {
		return target.Address
	}
	return ""
}

// steps are the steps of a connection before it relays. Each returns nil, or how the connection
// ended there. A peer that isn't admitted, fails its handshake or isn't authorized never reaches
// the target.
var steps = []struct {
	step step
	do   func(*Tunnel, *conn) *ending
}{
	{stepAccepted, (*Tunnel).admit},
	{stepHandshake, (*Tunnel).handshakeFront},
	{stepAuthorize, (*Tunnel).authorize},
	{stepAuthorize, (*Tunnel).enforceLimits},
	{stepDial, (*Tunnel).dial},
}

// serveConn takes a connection through its steps. It notes each step for the registry, and
// closes c after the last one.
func (t *Tunnel) serveConn(c *conn) {
	for _, next := range steps {
		c.step.Store(int32(next.step))
		if end := next.do(t, c); end != nil {
			t.close(c, end)
			return
		}
	}
	t.relay(c)
}
