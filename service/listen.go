package service

import (
	"context"
	"errors"
	"fmt"
	"net"

	"tlstunnel/internal/config"
)

// listen opens a tunnel's socket, or takes the one that systemd has opened under
// the tunnel's name. The error says what to do.
func listen(ctx context.Context, t config.Tunnel) (net.Listener, error) {
	if l, err := inherited(t.Name); l != nil || err != nil {
		return l, err
	}
	// The tunnel sets keepalive on each connection by its own settings.
	lc := net.ListenConfig{KeepAlive: -1}
	l, err := lc.Listen(ctx, "tcp", t.Listen)
	hint := ""
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, errInUse):
		hint = "another program has this port (" + whoListens + " shows which): stop it, or choose another port"
	case errors.Is(err, errNoAddress):
		hint = "this machine has no such address; \":PORT\" is every address that it has"
	case errors.Is(err, errNoRights):
		hint = "this user may not use the port: " + howToGetRights
	default:
		return nil, fmt.Errorf("listening on %q: %w", t.Listen, err)
	}
	return nil, &listenError{fmt.Sprintf("listening on %q: %s", t.Listen, hint), err}
}

// listenError says what to do instead of what the system said.
type listenError struct {
	text  string
	cause error
}

func (e *listenError) Error() string { return e.text }
func (e *listenError) Unwrap() error { return e.cause }
