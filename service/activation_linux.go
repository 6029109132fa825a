package service

import (
	"fmt"
	"net"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
)

// systemdSockets are the sockets that systemd opened for us, by their FileDescriptorName
// (systemd.socket(5)). We never close them: systemd holds the port too, so we couldn't
// open it again.
var systemdSockets = sync.OnceValue(func() map[string][]net.Listener {
	listeners, err := activation.ListenersWithNames()
	if err != nil {
		return nil
	}
	return listeners
})

// systemdSocket returns a duplicate of the socket that systemd opened for the named tunnel,
// or nil if there is none. A socket that isn't a TCP socket is an error.
func systemdSocket(name string) (net.Listener, error) {
	all := systemdSockets()[name]
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
