package service

import (
	"fmt"
	"net"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
)

// activated are the sockets that systemd has opened for us, by their
// FileDescriptorName (systemd.socket(5)). They stay open as long as we run: it
// would be systemd that had the port, and we couldn't open it again.
var activated = sync.OnceValue(func() map[string][]net.Listener {
	listeners, err := activation.ListenersWithNames()
	if err != nil {
		return nil
	}
	return listeners
})

// inherited is a duplicate of the socket that systemd has opened for the named tunnel, nil if
// there is none. It is an error when that isn't a TCP socket.
func inherited(name string) (net.Listener, error) {
	all := activated()[name]
	if len(all) == 0 {
		return nil, nil
	}
	tcp, ok := all[0].(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("the socket %q that systemd has opened isn't one for TCP connections: see ListenStream in its .socket unit", name)
	}
	file, err := tcp.File()
	if err != nil {
		return nil, fmt.Errorf("taking the socket %q from systemd: %w", name, err)
	}
	defer file.Close()
	return net.FileListener(file)
}
