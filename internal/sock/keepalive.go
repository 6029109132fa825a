package sock

import (
	"net"
	"time"
)

// keepaliveCount is how often another machine is asked in vain before it is taken for
// gone.
const keepaliveCount = 3

// KeepAlive makes the system probe the other end when it is silent, and
// spreads the probes so that a dead end is noticed in some twice idle; 0 is never. The system
// doesn't probe while it waits for an answer to what it sent: see [Conn.OwesAnswer].
//
// An end on this machine isn't probed: the system knows when it is gone, and of the probes
// of thousands of connections at once, loopback drops those above 1,000, until the living
// look dead.
func (c *Conn) KeepAlive(idle time.Duration) {
	if peer, ok := c.RemoteAddr().(*net.TCPAddr); idle <= 0 || ok && peer.IP.IsLoopback() {
		return
	}
	c.probed = idle
	interval := max(idle/keepaliveCount, time.Second)
	// Where the system has no such settings, its own stay in force.
	_ = c.tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: idle, Interval: interval, Count: keepaliveCount})
	c.askOften(interval)
}
