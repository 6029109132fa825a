package config

import "net/netip"

// listeners knows which tunnel listens where. It holds the first tunnel for each port and host,
// and for each port and group of hosts below. An empty host means all IPv4 and IPv6 addresses.
type listeners map[address]int

// Groups of listeners on one port. Their names begin with a character that no host has.
const (
	everyListener = "*"
	notIPv6       = "*4" // a name may have an IPv4 address
	notIPv4       = "*6"
)

var (
	wildcard4 = netip.IPv4Unspecified().String() // of IPv4 alone
	wildcard6 = netip.IPv6Unspecified().String() // of IPv6 alone
)

// Network returns the network ("tcp", "tcp4" or "tcp6") with which package net must open listen,
// a host:port. With "tcp", package net takes both 0.0.0.0 and [::] for every address.
func Network(listen string) string {
	switch a, _ := parseAddress(listen, ""); a.canonicalHost() {
	case wildcard4:
		return "tcp4"
	case wildcard6:
		return "tcp6"
	}
	return "tcp"
}

// add notes that a tunnel listens on a. Port 0 is a free one each time.
func (l listeners) add(a address, tunnel int) {
	if a.port == 0 {
		return
	}
	hosts := []string{a.canonicalHost(), everyListener}
	if !a.ip().Is6() {
		hosts = append(hosts, notIPv6)
	}
	if a.ip().Is6() || a.host == "" {
		hosts = append(hosts, notIPv4)
	}
	for _, host := range hosts {
		at := address{host, a.port}
		if _, ok := l[at]; !ok {
			l[at] = tunnel
		}
	}
}

// conflict finds the first tunnel that makes it impossible to listen on a.
func (l listeners) conflict(a address) (tunnel int, ok bool) {
	switch host := a.canonicalHost(); {
	case host == "":
		return l.first(a.port, everyListener)
	case host == wildcard4:
		return l.first(a.port, notIPv6)
	case host == wildcard6:
		return l.first(a.port, notIPv4)
	default:
		return l.first(a.port, host, a.wildcard(), "")
	}
}

// wildcard returns the wildcard address of the same IP version. It takes a name for IPv4.
func (a address) wildcard() string {
	if a.ip().Is6() {
		return wildcard6
	}
	return wildcard4
}

// reached finds the tunnel that accepts a connection to a. It only compares the texts: an address
// that isn't loopback may belong to another machine.
func (l listeners) reached(a address) (tunnel int, ok bool) {
	switch a.ip() { // if the target is a wildcard, the system dials the loopback address
	case netip.IPv4Unspecified():
		a.host = "127.0.0.1"
	case netip.IPv6Unspecified():
		a.host = "::1"
	}
	if !a.loopback() {
		return l.first(a.port, a.canonicalHost())
	}
	return l.first(a.port, a.canonicalHost(), a.wildcard(), "")
}

func (l listeners) first(port int, hosts ...string) (tunnel int, ok bool) {
	for _, host := range hosts {
		if i, found := l[address{host, port}]; found && (!ok || i < tunnel) {
			tunnel, ok = i, true
		}
	}
	return tunnel, ok
}

// conflicts reports tunnels that listen on the same address, and returns where
// all of them listen.
func (r *report) conflicts(tunnels []Tunnel) listeners {
	seen := listeners{}
	for i := range tunnels {
		t := &tunnels[i]
		listen, err := parseAddress(t.Listen, "")
		if err != nil {
			continue
		}
		if j, taken := seen.conflict(listen); taken {
			r.errorf(tunnelKey(i, "listen"), "%q is taken by tunnel %q in line %d, which listens on %q: use another port%s",
				t.Listen, tunnels[j].Name, r.line(j, "listen"), tunnels[j].Listen, copied(t, &tunnels[j]))
		}
		seen.add(listen, i)
	}
	return seen
}
