//go:build !linux

package tunnel

import "net"

// isDead is false where the system doesn't tell. Windows has no need of it: there
// every call on a connection that was reset says so.
func isDead(*net.TCPConn) bool { return false }

// hasEnded is false where the system doesn't tell.
func hasEnded(*net.TCPConn) bool { return false }
