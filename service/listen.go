package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"

	"tlstunnel/internal/config"
)

// listen opens a tunnel's socket, or uses the socket that systemd opened under the tunnel's
// name. The error says what to do.
func listen(ctx context.Context, t config.Tunnel) (net.Listener, error) {
	if l, err := systemdSocket(t.Name); l != nil || err != nil {
		return l, err
	}
	// The tunnel sets keepalive on each connection by its own settings.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(ctx, config.Network(t.Listen), t.Listen)
	hint := ""
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, errInUse):
		hint = "another program has this port (" + whoListens + " shows which): stop it, or choose another port"
	case errors.Is(err, errNoAddress):
		hint = "this machine has no such address; \":PORT\" is every address that it has, \"0.0.0.0:PORT\" every one of IPv4"
	case errors.Is(err, errNoRights):
		hint = "this user may not use the port: " + howToGetRights
	default:
		return nil, fmt.Errorf("listening on %q: %w", t.Listen, err)
	}
	return nil, &listenError{fmt.Sprintf("listening on %q: %s", t.Listen, hint), err}
}

// listenText returns where a tunnel listens, as its config writes it: the system writes [::]
// both for all addresses and for all IPv6 addresses. In place of port 0 it has the port that
// the system chose. If systemd opened the socket at another address, it has that address.
func listenText(asked string, bound net.Addr) string {
	host, port, err := net.SplitHostPort(asked)
	at, ok := bound.(*net.TCPAddr)
	if err != nil || !ok {
		return bound.String()
	}
	if port == "0" {
		port = strconv.Itoa(at.Port)
	}
	ip, err := netip.ParseAddr(host)
	if port != strconv.Itoa(at.Port) || err == nil && ip.WithZone("").Unmap() != at.AddrPort().Addr().WithZone("").Unmap() {
		return bound.String()
	}
	return net.JoinHostPort(host, port)
}

// listenError replaces the system's text by what to do.
type listenError struct {
	text  string
	cause error
}

func (e *listenError) Error() string { return e.text }
func (e *listenError) Unwrap() error { return e.cause }
