package tunnel

import (
	"container/list"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync/atomic"
	"time"
)

// conn is one connection through a tunnel, from accept to its log line.
type conn struct {
	settings *settings
	peer     netip.AddrPort
	origin   netip.Prefix // of the peer
	accepted time.Time
	admitted bool
	placed   bool // counted for max_connections

	// In server mode, until the peer has a place. early ends with setup, or when giveUp
	// is called.
	early     context.Context
	giveUp    context.CancelCauseFunc
	inPending *list.Element

	front *side
	back  *side // nil until dialled

	target    Target   // the one that was dialled last
	failed    []string // targets that were tried in vain, and why
	session   *tls.ConnectionState
	allowedBy string // the rule, if it took one
	handshake time.Duration

	toBack, toFront atomic.Int64 // bytes relayed
}

func (t *Tunnel) newConn(accepted *net.TCPConn) *conn {
	c := &conn{
		settings: t.settings.Load(),
		accepted: time.Now(),
		front:    newSide(accepted, byPeer),
	}
	keepAlive(accepted, c.settings.Keepalive)
	c.peer = addrPort(accepted.RemoteAddr())
	c.origin = origin(c.peer.Addr())
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

// serveConn is the way of a connection. A peer that isn't admitted, fails its
// handshake or isn't authorized never reaches the target. It closes c, now or when
// all is relayed.
func (t *Tunnel) serveConn(c *conn) {
	end := t.admit(c)
	if end == nil {
		end = t.handshakeFront(c)
	}
	if end == nil {
		end = t.authorize(c)
	}
	if end == nil {
		end = t.takePlace(c)
	}
	if end == nil {
		end = t.dial(c)
	}
	if end == nil {
		t.relay(c)
		return
	}
	t.close(c, end)
}
