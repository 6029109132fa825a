//go:build !linux

package service

import "net"

// inherited is nil: only systemd passes sockets.
func inherited(string) (net.Listener, error) { return nil, nil }
