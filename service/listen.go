package service

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// listen opens a tunnel's socket. The error says what to do.
func listen(ctx context.Context, address string) (net.Listener, error) {
	// The tunnel sets keepalive on each connection by its own settings.
	config := net.ListenConfig{KeepAlive: -1}
	l, err := config.Listen(ctx, "tcp", address)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, errInUse):
		return nil, fmt.Errorf("listening on %q: another program has this port (%s shows which): stop it, or choose another port", address, whoListens)
	case errors.Is(err, errNoAddress):
		return nil, fmt.Errorf("listening on %q: this machine has no such address; \":PORT\" is every address that it has", address)
	case errors.Is(err, errNoRights):
		return nil, fmt.Errorf("listening on %q: this user may not use the port: %s", address, howToGetRights)
	default:
		return nil, fmt.Errorf("listening on %q: %w", address, err)
	}
}
