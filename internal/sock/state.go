package sock

// State is what the system knows of a connection.
type State struct {
	Dead  bool // it was reset or has timed out, or both ends have closed it
	Ended bool // the other end has ended its stream or reset the connection, even if there are bytes to be read before that

	// Vanished is that the other end has been silent for twice what [Conn.KeepAlive] was
	// given, though the system has asked it for a sign of life: by what it sent again, or by
	// probes of a closed window. A reader that is slow but lives answers these. It means
	// something only if [Conn.OwesAnswer].
	Vanished bool
}

// OwesAnswer reports whether the other end has yet to acknowledge something that was
// written. While the kernel waits for that, it sends no keepalive probes. It is false for
// a connection that isn't probed. writing is whether a write is under way. Only one
// goroutine at a time may ask.
func (c *Conn) OwesAnswer(writing bool) bool {
	if c.probed == 0 || !c.written.Swap(false) && !writing {
		return false
	}
	if n, _ := c.Unacknowledged(); n == 0 {
		return false
	}
	c.written.Store(true)
	return true
}
