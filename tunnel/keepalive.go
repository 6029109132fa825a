package tunnel

import (
	"net"
	"time"
)

// keepaliveCount is how often another machine is asked in vain before it is taken for
// gone.
const keepaliveCount = 3

// keepAlive makes the system probe the other end of c when it is silent, and
// spreads the probes so that a dead peer is noticed in some twice idle. The system
// doesn't probe while it waits for an answer to what it sent: see [Tunnel.look].
func keepAlive(c *net.TCPConn, idle time.Duration) {
	if !isProbed(c, idle) {
		return
	}
	interval := max(idle/keepaliveCount, time.Second)
	// Where the system has no such settings, its own stay in force.
	_ = c.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: keepaliveCount})
	askOften(c, interval)
}

// isProbed reports whether keepAlive is for c. An end on this machine isn't probed: the
// system knows when it is gone, and of the probes of thousands of connections at once,
// loopback drops those above 1,000, until the living look dead.
func isProbed(c *net.TCPConn, idle time.Duration) bool {
	peer, ok := c.RemoteAddr().(*net.TCPAddr)
	return idle > 0 && !(ok && peer.IP.IsLoopback())
}
