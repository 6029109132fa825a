//go:build !linux

package service

import "net"

// systemdSocket returns nil: only systemd passes sockets.
func systemdSocket(string) (net.Listener, error) { return nil, nil }
