//go:build !linux

package tunnel

import (
	"net"
	"time"
)

// tcpState is what the system tells of a connection: nothing.
type tcpState struct {
	dead, ended bool
	asked       int
	silent      time.Duration
}

func tcpStateOf(*net.TCPConn) (s tcpState, ok bool) { return s, false }

// isDead is false where the system doesn't tell. Windows has no need of it: there
// every call on a connection that was reset says so.
func isDead(*net.TCPConn) bool { return false }

// unsent is 0 where the system doesn't tell: there progress is only what our own
// writes have moved.
func unsent(*net.TCPConn) int { return 0 }

// hasTakenAll is false where the system doesn't tell.
func hasTakenAll(*net.TCPConn) bool { return false }

// takeError is nil where there is no tcpState.
func takeError(*net.TCPConn) error { return nil }

// alertWaits is true where the system doesn't tell.
func alertWaits(*net.TCPConn) bool { return true }

// sendBufferOf isn't known.
func sendBufferOf(*net.TCPConn) sendBuffer { return unknownBuffer }
