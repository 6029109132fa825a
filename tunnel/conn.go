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
	setup    context.Context // until it relays; it ends with that of the tunnel, or by giveUp
	giveUp   context.CancelCauseFunc
	pending  *list.Element // in server mode, while its peer has proved nothing
	relaying *relaying     // once it does

	front *side
	back  *side // nil until dialled

	target    atomic.Pointer[Target] // the one that was dialled last
	failed    []string               // targets that were tried in vain, and why
	session   *tls.ConnectionState
	allowedBy string // the rule, if it took one
	handshake time.Duration

	toBack, toFront atomic.Int64 // bytes relayed
}

// newConn is an accepted connection, which the caller gives to serveConn.
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

// addrPort is the zero value if addr isn't of TCP. An IPv4 address that Go writes as one of
// IPv6 comes out as IPv4.
func addrPort(addr net.Addr) netip.AddrPort {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// targetAddress is "" before c has dialled.
func (c *conn) targetAddress() string {
	if target := c.target.Load(); target != nil {
		return target.Address
	}
	return ""
}

// steps are what happens to a connection before it relays. Each returns nil, or how the
// connection ended there. A peer that isn't admitted, fails its handshake or isn't
// authorized never reaches the target.
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

// serveConn is the way of a connection. It notes the step for the registry, and closes c,
// now or when all is relayed.
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
